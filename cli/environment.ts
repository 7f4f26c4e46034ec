/** A variable of the environment that stands in the way of kernels that wait for each other. */
export interface EnvironmentWarning {
  readonly variable: string;
  readonly value: string;
  readonly problem: string;
  readonly fix: string;
}

const HARMFUL: readonly {
  readonly variable: string;
  isHarmful(value: string): boolean;
  readonly problem: string;
  readonly fix: string;
}[] = [
  {
    variable: 'CUDA_DEVICE_MAX_CONNECTIONS',
    isHarmful: (value) => Number(value) === 1,
    problem:
      'all streams of a device share one queue, where a kernel that waits for a peer holds up what other streams do',
    fix: 'Unset it where epgen runs, or set it to 8, which is the default.',
  },
  {
    variable: 'CUDA_LAUNCH_BLOCKING',
    isHarmful: (value) => value !== '0',
    problem:
      'every launch waits for its kernel, and kernels wait for each other: groups refuse to open on cuda',
    fix: 'Unset it where epgen runs.',
  },
];

/** What of `env` is harmful to groups on cuda, with what to do about it. */
export function environmentWarnings(env: NodeJS.ProcessEnv): readonly EnvironmentWarning[] {
  return HARMFUL.flatMap(({ variable, isHarmful, problem, fix }) => {
    const value = env[variable];
    return value && isHarmful(value) ? [{ variable, value, problem, fix }] : [];
  });
}
