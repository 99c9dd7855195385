import { EXIT } from './exit-codes.js';
import { endOnInterrupt } from './interruption.js';
import { createProgram, verbOf } from './program.js';
import { describeFault } from './report-fault.js';

// A reader that has read enough, such as head, is no fault.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (fault: NodeJS.ErrnoException) => {
    process.exit(fault.code === 'EPIPE' ? EXIT.ok : EXIT.failed);
  });
endOnInterrupt();

const args = process.argv.slice(2);
const program = await createProgram(args);
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
