import type { ReuseEdge } from './edge.js';

export function outputEdges(distance: number): ReuseEdge[] {
  return [
    {
      region: 'output',
      earlier: 'caller writes input',
      later: 'combine pulls rows',
      distance: 0,
      provenBy: 'combine.ready',
      argument:
        'The owner publishes its ready word by release after what it enqueued before the combine.',
    },
    {
      region: 'output',
      earlier: 'combine pulls rows',
      later: 'caller writes input',
      distance,
      provenBy: 'combine.ready',
      argument:
        `The input of C(f+${distance}) is written after C(f+${distance - 1}) on the owner’s stream, which awaited the ` +
        `ready words of all ranks; the host refuses it as the input of any other combine.`,
    },
    {
      region: 'output',
      earlier: 'caller writes input',
      later: 'caller writes input',
      distance,
      provenBy: 'stream order',
      argument: 'Both are on the owner’s stream.',
    },
  ];
}
