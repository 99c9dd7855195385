import { EXIT } from './exit-codes.js';
import { endOnInterrupt } from './interruption.js';
import { createProgram, verbOf } from './program.js';
import { describeFault, endOfOutput } from './report-fault.js';

endOnInterrupt();

const args = process.argv.slice(2);
const program = await createProgram(args);
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (fault: NodeJS.ErrnoException) => {
    const exitCode = Number(process.exitCode ?? EXIT.ok);
    const { message, exit } = endOfOutput(fault, verbOf(program, args), exitCode);
    if (message !== '' && stream === process.stdout) process.stderr.write(`thalamus: ${message}\n`);
    process.exit(exit);
  });
try {
  await program.parseAsync();
} catch (fault) {
  const report = describeFault(fault, verbOf(program, args));
  if (report) {
    const { code, message, exit } = report;
    const json = args.includes('--json');
    process.stderr.write(
      json ? `${JSON.stringify({ error: { code, message } })}\n` : `thalamus: ${message}\n`,
    );
    process.exitCode = exit;
  }
}
