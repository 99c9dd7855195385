import { Stack, Text } from '@mantine/core';
import type { Composition } from '../../api/composition-types.js';
import { bytesText } from '../experts/expert-facts.js';
import { Figure } from '../overview/figure.js';
import { compositionKey, lostPoints, pointsText, shareText, worstParent } from './composition-facts.js';
import { LineageCard } from './lineage-card.js';
import { RankChart } from './rank-chart.js';
import { TaskScores } from './task-scores.js';
import { WeighCard } from './weigh-card.js';

/** One composition: figures, then pictures, then a prompt to try. */
export function CompositionBoard({ composition }: { readonly composition: Composition }) {
  return (
    <section aria-label={compositionKey(composition)} data-testid="composition">
      <Stack gap="md">
        <Figures composition={composition} />
        <div className="chart-columns">
          <Stack gap="md">
            <LineageCard composition={composition} />
            <RankChart report={composition.report} />
          </Stack>
          <Stack gap="md">
            <TaskScores parents={composition.parents} />
            <WeighCard composition={composition} />
          </Stack>
        </div>
        <Provenance composition={composition} />
      </Stack>
    </section>
  );
}

function Figures({ composition }: { readonly composition: Composition }) {
  const { parents, report, normalized, routerAccuracy, sizeBytes } = composition;
  const judged = parents.filter((parent) => parent.normalized !== null);
  const worst = worstParent(parents);
  const validation = report?.routerValidationAccuracy ?? null;
  return (
    <div className="figures">
      <Figure
        label="Score"
        value={shareText(normalized)}
        note={
          judged.length === 0
            ? 'it was judged on no rows'
            : `of what the parents get right alone, mean of ${judged.length === 1 ? 'one task' : `${judged.length} tasks`}`
        }
      />
      <Figure
        label="Worst task"
        value={worst ? `${pointsText(lostPoints(worst))} points` : '–'}
        note={worst ? `that of ${worst.name}` : 'no task was judged'}
      />
      <Figure
        label="Right parent"
        value={shareText(routerAccuracy)}
        note={
          routerAccuracy === null
            ? 'it was not measured'
            : validation === null
              ? 'of the rows go to their own parent'
              : `of the rows go to their own parent; ${shareText(validation)} on validation`
        }
      />
      <Figure
        label="Size"
        value={bytesText(sizeBytes)}
        note={
          report && report.parentBytes > 0
            ? `${shareText(report.bytes / report.parentBytes)} of the ${bytesText(report.parentBytes)} of its parents apart, in full`
            : 'what its parents take apart is not known'
        }
      />
    </div>
  );
}

/** How it was made, for who wants to make it again. */
function Provenance({ composition }: { readonly composition: Composition }) {
  const { method, seed, codeVersion, recipeDigest, recipe } = composition;
  const said = [
    method === null ? 'Composed' : `Made by ${method}`,
    ...(codeVersion === null ? [] : [`with ${codeVersion}`]),
    ...(seed === null ? [] : [`seed ${seed}`]),
    ...(recipeDigest === null ? ['brought from elsewhere'] : []),
  ].join(', ');
  return (
    <div className="provenance">
      <Text size="xs" className="quiet">
        {said}. Rows are judged as callers are answered: its router chooses heads and weights, and is not told
        the task.
      </Text>
      {recipe !== null && (
        <details className="as-table">
          <summary>Recipe</summary>
          <pre className="recipe" tabIndex={0} aria-label="Recipe">
            {recipe}
          </pre>
          {recipeDigest !== null && <code className="recipe-digest">{recipeDigest}</code>}
        </details>
      )}
    </div>
  );
}
