import { Link } from 'wouter';
import type { ComposedParent, Composition } from '../../api/composition-types.js';
import { bytesText } from '../experts/expert-facts.js';
import { ChartCard } from '../router/chart-card.js';
import { colourOf, lineagePath } from './composition-facts.js';

/** Height of a parent in the picture, pixels. */
const ROW = 52;

/** Parents on the left, what became of them on the right. */
export function LineageCard({ composition }: { readonly composition: Composition }) {
  const { name, version, method, sizeBytes, parents, hidden } = composition;
  const height = parents.length * ROW;
  return (
    <ChartCard
      title="Lineage"
      purpose={
        hidden > 0
          ? `What it was made of; this key may not use ${hidden} of the ${parents.length}.`
          : 'What it was made of.'
      }
    >
      <div className="lineage" data-testid="lineage">
        <ul className="lineage-parents" aria-label="Parents">
          {parents.map((parent, at) => (
            <li key={`${parent.name}@${parent.version}`} style={{ height: ROW }} data-colour={colourOf(at)}>
              <div className="lineage-node">
                <ParentName parent={parent} />
                <span className="quiet">{aboutParent(parent)}</span>
              </div>
            </li>
          ))}
        </ul>
        <svg
          className="lineage-lines"
          viewBox={`0 0 100 ${height}`}
          height={height}
          preserveAspectRatio="none"
          aria-hidden
        >
          {parents.map((parent, at) => (
            <path
              key={`${parent.name}@${parent.version}`}
              d={lineagePath(at, parents.length, ROW)}
              data-colour={colourOf(at)}
            />
          ))}
        </svg>
        <div className="lineage-result">
          <div className="lineage-node">
            <Link href={`/experts/${name}`} className="row-link">
              {name}
              <span className="quiet">@{version}</span>
            </Link>
            <span className="quiet">
              {method ?? 'composed'} · {bytesText(sizeBytes)}
            </span>
          </div>
        </div>
      </div>
    </ChartCard>
  );
}

function ParentName({ parent: { name, version, kind } }: { readonly parent: ComposedParent }) {
  const text = (
    <>
      {name}
      <span className="quiet">@{version}</span>
    </>
  );
  if (kind === null) return <span className="lineage-name">{text}</span>;
  return (
    <Link href={`/experts/${name}`} className="row-link">
      {text}
    </Link>
  );
}

function aboutParent({ kind, sizeBytes, name }: ComposedParent): string {
  if (kind !== null) return `${kind} · ${bytesText(sizeBytes ?? 0)}`;
  return name.startsWith('hidden-') ? 'not for this key' : 'not registered any more';
}
