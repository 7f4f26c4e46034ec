import pc from 'picocolors';
import { grouped } from '../table.js';

const WIDTH = 24;
const INTERVAL_MS = 100;

export interface ProgressBar {
  update(done: number, text: string): void;
  clear(): void;
}

/** One line of a terminal that is drawn again; `done` runs from 0 to 1. */
export function progressBar(title: string): ProgressBar {
  let nextMs = 0;
  return {
    update: (done, text) => {
      if (performance.now() < nextMs) return;
      nextMs = performance.now() + INTERVAL_MS;
      const full = Math.round(WIDTH * Math.min(1, done));
      const bar = `${pc.green('━'.repeat(full))}${pc.dim('━'.repeat(WIDTH - full))}`;
      const room = (process.stdout.columns || 80) - WIDTH - 3;
      process.stdout.write(`\r\u001b[2K${bar} ${`${title}: ${text}`.slice(0, room)}`);
    },
    clear: () => process.stdout.write('\r\u001b[2K'),
  };
}

/** `1,000 schedules, 2 findings`. */
export function countsText(schedules: number, findings: number): string {
  const some = schedules === 1 ? '1 schedule' : `${grouped(schedules)} schedules`;
  return `${some}, ${findingsText(findings)}`;
}

export function findingsText(findings: number): string {
  if (findings === 0) return 'nothing found';
  return findings === 1 ? '1 finding' : `${grouped(findings)} findings`;
}
