/**
 * Load on models, each by callers of its own that ask one thing after the other and pause between: counts by model what was right,
 * wrong, and failed by code, and keeps when each request was sent and answered.
 */
export function startLoad(models, { callers, pauseMs }) {
  const events = [];
  let stopping = false;
  const work = async ({ name, ask }, caller) => {
    for (let i = caller; !stopping; i += callers) {
      const sentAt = performance.now();
      const outcome = await ask(i).then(
        (isRight) => (isRight ? 'right' : 'wrong'),
        (fault) => fault.code ?? fault.message,
      );
      events.push({ model: name, sentAt, answeredAt: performance.now(), outcome });
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  const ended = Promise.all(
    models.flatMap((model) => Array.from({ length: callers }, (_, caller) => work(model, caller))),
  );
  return {
    events,
    stop: async () => {
      stopping = true;
      await ended;
    },
  };
}

/** How many events of each model had each outcome. */
export function countsOf(events) {
  const counts = {};
  for (const { model, outcome } of events) {
    counts[model] ??= { right: 0 };
    counts[model][outcome] = (counts[model][outcome] ?? 0) + 1;
  }
  return counts;
}
