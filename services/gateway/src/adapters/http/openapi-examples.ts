/** Bodies that the reference shows and that a test sends, by operation. */
export const EXAMPLES: Readonly<
  Record<string, Readonly<Record<string, { readonly summary: string; readonly value: unknown }>>>
> = {
  chat: {
    routed: {
      summary: 'The best chat model for the prompt, cheap ones preferred.',
      value: {
        model: 'auto:cost=0.5',
        messages: [
          {
            role: 'user',
            content: 'Natalia sold 48 clips in April and half as many in May. How many in all?',
          },
        ],
      },
    },
    streamed: {
      summary: 'A named model, streamed, with usage at the end.',
      value: {
        model: 'mixtral-8x7b',
        stream: true,
        stream_options: { include_usage: true },
        messages: [{ role: 'user', content: 'Say hello.' }],
        max_tokens: 16,
      },
    },
  },
  complete: {
    named: {
      summary: 'One prompt without roles.',
      value: { model: 'mixtral-8x7b', prompt: 'Once upon a time', max_tokens: 16 },
    },
  },
  classify: {
    routed: {
      summary: 'The best expert for the text.',
      value: { input: 'I lost my card, please block it' },
    },
    flagged: {
      summary: 'The best expert when a small one is worth up to half a nat, with the decision.',
      value: {
        model: 'auto:size=0.5',
        input: 'I lost my card, please block it',
        thalamus: { decision: true },
      },
    },
    named: {
      summary: 'A pinned version of a named expert, two texts, three labels each.',
      value: { model: 'banking77@3', input: ['Where is my card?', 'My card was stolen'], top: 3 },
    },
  },
  embed: {
    floats: {
      summary: 'Two vectors.',
      value: { model: 'minilm-l6', input: ['one text', 'another text'], encoding_format: 'float' },
    },
  },
  route: {
    flagged: {
      summary: 'The three best experts among those of at most a billion operations a token.',
      value: {
        input: 'The party of the first part shall indemnify',
        flags: { size: '<1000000000', recency: 'low' },
        top_k: 3,
      },
    },
  },
  giveFeedback: {
    scored: {
      summary: 'The answer was right.',
      value: { request_id: 'f7a1c1d0-3a4e-4f0e-9a57-5c9a3f5f2b11', score: 1 },
    },
  },
  oipInfer: {
    routed: {
      summary: 'Two texts, each answered by the expert that is best for it.',
      value: {
        inputs: [
          {
            name: 'text',
            datatype: 'BYTES',
            shape: [2],
            data: ['I lost my card, please block it', 'Book a table for two'],
          },
        ],
      },
    },
  },
  registerExpert: {
    remote: {
      summary: 'A remote model whose key is in a file of the gateway.',
      value: {
        name: 'small-chat',
        description: 'A small, cheap chat model.',
        baseUrl: 'https://llm.example.com/v1',
        model: 'small-chat-2025-01',
        keyReference: 'file:small-chat',
        prices: { inputUsdPerMtok: 0.15, outputUsdPerMtok: 0.6 },
        maxTokens: 128000,
      },
    },
  },
  setChannel: {
    promoted: {
      summary: 'Promote version 1 without a release.',
      value: { channel: 'stable', version: '1', reason: 'checked by hand' },
    },
  },
  putPolicy: {
    limited: {
      summary: 'Ten requests a second, four at once, and cheap experts unless a request says otherwise.',
      value: { requestsPerSecond: 10, maxInFlight: 4, defaultWeights: { cost: 0.5 } },
    },
  },
  createKey: {
    operator: {
      summary: 'A key that may register experts.',
      value: { tenant: 'acme', role: 'operator', description: 'deployment pipeline' },
    },
  },
};
