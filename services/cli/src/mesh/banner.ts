import type { RunningMesh } from './launch-mesh.js';
import { readZoo, zooFolder } from './zoo-index.js';

/** What a person reads once the mesh answers: where it is, and requests to copy. */
export function banner({ file, experts, remoteExperts }: RunningMesh, seconds: number): string {
  const lines = [
    `Thalamus is ready (${seconds.toFixed(1)} s): ${counted(experts, remoteExperts)} behind one door.`,
    '',
    `  console  ${file.http}/console/`,
    `  HTTP     ${file.http}           OpenAPI at /openapi.json`,
    `  gRPC     ${file.grpc}                  Open Inference Protocol v2 and thalamus.gateway.v1`,
    `  key      ${file.keyFile}`,
    '',
    'Try it:',
    '',
    '  npx thalamus ask "I lost my card, please block it"',
    `  curl -s ${file.http}/v1/classifications -H 'content-type: application/json' \\`,
    `    -d '{"input": "I lost my card, please block it", "thalamus": {"decision": true}}'`,
    `  grpcurl -plaintext -d '{"input": "Book a table for two"}' ${file.grpc} thalamus.gateway.v1.GatewayService/Classify`,
    ...(remoteExperts.length === 0 ? [] : chat(file.http, readZoo(zooFolder()).fleet.sample)),
    '',
    'Ctrl-C ends it.',
  ];
  return `\n${lines.map((line) => (line === '' ? '' : `  ${line}`)).join('\n')}\n\n`;
}

function counted(experts: readonly string[], remoteExperts: readonly string[]): string {
  const own = `${experts.length} experts`;
  return remoteExperts.length === 0 ? own : `${own} and ${remoteExperts.length} remote chat models`;
}

function chat(http: string, prompt: string): string[] {
  const body = JSON.stringify({ model: 'auto', stream: true, messages: [{ role: 'user', content: prompt }] });
  return [
    '',
    'Chat, with what two real models once answered (npx thalamus chat --samples lists the prompts):',
    '',
    `  npx thalamus chat "${prompt}"`,
    `  curl -iN ${http}/v1/chat/completions -H 'content-type: application/json' \\`,
    `    -d '${body}'`,
  ];
}
