import { Grid, Stack } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useMutation } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { useSearchParams } from 'wouter';
import { api } from '../../api/client.js';
import type { Task } from '../../api/types.js';
import { PageHead } from '../../layout/page-head.js';
import { Fault } from '../../states/fault.js';
import { AnswerPanel } from './answer-panel.js';
import { ChatPanel } from './chat-panel.js';
import { DecisionCard } from './decision-card.js';
import { LambdaSliders } from './lambda-sliders.js';
import { PromptCard } from './prompt-card.js';
import { useChat } from './use-chat.js';
import { useDecision } from './use-decision.js';

const TYPING_MS = 250;

/** Type a prompt, see every expert's predicted loss, move the weights, run the winner. */
export function PlaygroundPage() {
  const [parameters, setParameters] = useSearchParams();
  const task: Task = parameters.get('task') === 'chat' ? 'text-generation' : 'text-classification';
  // Another task has other experts, costs and samples: it begins afresh.
  return (
    <Playground
      key={task}
      task={task}
      onTask={(next) => {
        setParameters(next === 'text-generation' ? { task: 'chat' } : {}, { replace: true });
      }}
    />
  );
}

function Playground({ task, onTask }: { readonly task: Task; readonly onTask: (task: Task) => void }) {
  const [prompt, setPrompt] = useState('');
  const [settled] = useDebouncedValue(prompt.trim(), TYPING_MS);
  const decision = useDecision(task, settled);
  const run = useRun(task);
  const answerPlace = useRef<HTMLDivElement>(null);
  const best = decision.ranked[0]?.expert;
  const isSettled = settled !== '' && settled === prompt.trim() && !decision.isOld;
  useEffect(() => {
    if (run.isShown) answerPlace.current?.scrollIntoView({ block: 'nearest' });
  }, [run.isShown]);
  const choose = (text: string) => {
    setPrompt(text);
    run.reset();
  };
  return (
    <Stack gap="lg" maw={1180} mx="auto">
      <PageHead
        title="Playground"
        purpose="Type a prompt and watch which expert the router would give it to, and why."
      />
      <Grid gap="lg">
        <Grid.Col span={{ base: 12, md: 5 }}>
          <PromptCard
            task={task}
            prompt={prompt}
            runLabel={best === undefined || decision.decision?.abstained ? 'Run' : `Run ${best}`}
            canRun={isSettled && decision.ranked.length > 0 && !run.isRunning}
            isRunning={run.isRunning}
            onTask={onTask}
            onPrompt={choose}
            onRun={() => {
              run.start(settled, decision.model);
            }}
          >
            {decision.costs.length > 0 && (
              <LambdaSliders
                costs={decision.costs}
                lossUnit={decision.decision?.lossUnit ?? ''}
                weights={decision.weights}
                isMoved={decision.isMoved}
                onChange={decision.move}
                onReset={decision.reset}
              />
            )}
          </PromptCard>
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 7 }}>
          <Stack gap="lg">
            <div className="card">
              <DecisionCard
                hasPrompt={settled !== ''}
                decision={settled === '' ? undefined : decision.decision}
                ranked={decision.ranked}
                fault={decision.fault}
                isFetching={decision.isFetching}
                isOld={decision.isOld}
                model={decision.model}
                onRetry={decision.retry}
              />
            </div>
            {run.isShown && (
              <section className="card" ref={answerPlace} aria-label="Answer">
                {run.panel}
              </section>
            )}
          </Stack>
        </Grid.Col>
      </Grid>
    </Stack>
  );
}

/** Runs a prompt in the way of its task. */
function useRun(task: Task) {
  const chat = useChat();
  const classify = useMutation({
    mutationFn: (wish: { prompt: string; model: string }) => api.classify(wish.prompt, wish.model),
  });
  const isChat = task === 'text-generation';
  const { answer } = chat;
  if (isChat)
    return {
      isRunning: answer?.phase === 'waiting' || answer?.phase === 'streaming',
      isShown: answer !== undefined,
      start: (prompt: string, model: string) => void chat.ask(prompt, model),
      reset: chat.reset,
      panel: answer && <ChatPanel answer={answer} onStop={chat.stop} />,
    };
  return {
    isRunning: classify.isPending,
    isShown: classify.data !== undefined || classify.error !== null,
    start: (prompt: string, model: string) => {
      classify.mutate({ prompt, model });
    },
    reset: classify.reset,
    panel: classify.error ? (
      <Fault fault={classify.error} />
    ) : (
      classify.data && <AnswerPanel answer={classify.data} />
    ),
  };
}
