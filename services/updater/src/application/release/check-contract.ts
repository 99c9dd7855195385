import {
  MAX_MANIFEST_BYTES,
  parseDigest,
  parseExpertManifest,
  readArtifact,
  type ArtifactStore,
  type ExpertManifest,
} from '@thalamus/bundle';
import type { RegistryView } from '@thalamus/registry';

/** Compares what two versions promise to callers: task, labels, inputs, longest text, tokenizer. */
export class CheckContract {
  constructor(
    private readonly view: Pick<RegistryView, 'version'>,
    private readonly artifacts: ArtifactStore,
  ) {}

  /** What callers of the version before cannot rely on any more, a phrase each. @throws ARTIFACT_NOT_FOUND, EXPERT_NOT_FOUND */
  async run(expert: string, fromVersion: string, toVersion: string): Promise<string[]> {
    const before = await this.manifest(expert, fromVersion);
    const after = await this.manifest(expert, toVersion);
    if (!before || !after) return [];
    const breaks: string[] = [];
    if (before.task !== after.task) breaks.push(`the task was ${before.task} and is ${after.task}`);
    const missing = (before.labels ?? []).filter((label) => !(after.labels ?? []).includes(label));
    if (missing.length > 0) breaks.push(`labels are missing: ${missing.slice(0, 5).join(', ')}`);
    if (after.maxTokens < before.maxTokens)
      breaks.push(`texts may have ${after.maxTokens} tokens, and could have ${before.maxTokens}`);
    if (JSON.stringify(before.inputs) !== JSON.stringify(after.inputs)) breaks.push('its inputs are others');
    return breaks;
  }

  private async manifest(expert: string, version: string): Promise<ExpertManifest | undefined> {
    const digest = this.view.version(expert, version)?.manifestDigest ?? '';
    if (digest === '') return undefined;
    const parsed = parseDigest(digest);
    return parseExpertManifest(await readArtifact(this.artifacts, parsed, MAX_MANIFEST_BYTES), parsed);
  }
}
