import type { Output } from './output.js';

/** One piece of work with a title; `say` tells what it is doing now. */
export interface CliTask {
  readonly title: string;
  /** Returns the line to show once it has ended. */
  run(say: (text: string) => void): Promise<string>;
}

/** Runs tasks in order: as a live list on a terminal, as plain lines elsewhere, silently with --json. */
export async function runTasks(tasks: readonly CliTask[], output: Output): Promise<void> {
  if (output.live) return runLive(tasks);
  for (const { title, run } of tasks) {
    const summary = await run((text) => output.line(`${title}: ${text}`));
    output.line(summary);
  }
}

async function runLive(tasks: readonly CliTask[]): Promise<void> {
  const { Listr } = await import('listr2');
  const list = new Listr(
    tasks.map(({ title, run }) => ({
      title,
      task: async (_context, task) => {
        task.title = await run((text) => {
          task.output = text;
        });
      },
    })),
    // The error is printed once, by main.
    { renderer: 'default', rendererOptions: { showErrorMessage: false, collapseErrors: false } },
  );
  await list.run();
}
