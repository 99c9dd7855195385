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

const program = createProgram();
try {
  await program.parseAsync();
} catch (fault) {
  const report = describeFault(fault, verbOf(program, process.argv.slice(2)));
  if (report) {
    const { code, message, exit } = report;
    const json = process.argv.includes('--json');
    process.stderr.write(
      json ? `${JSON.stringify({ error: { code, message } })}\n` : `thalamus: ${message}\n`,
    );
    process.exitCode = exit;
  }
}
