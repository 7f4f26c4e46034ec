import { describe, expect, it } from 'vitest';
import { environmentWarnings } from '../../cli/environment.js';

const CONNECTIONS = 'CUDA_DEVICE_MAX_CONNECTIONS';
const BLOCKING = 'CUDA_LAUNCH_BLOCKING';

describe('environmentWarnings', () => {
  it.each<[name: string, env: NodeJS.ProcessEnv, variables: readonly string[]]>([
    ['nothing', {}, []],
    ['empty values', { [CONNECTIONS]: '', [BLOCKING]: '' }, []],
    ['the default of both', { [CONNECTIONS]: '8', [BLOCKING]: '0' }, []],
    ['one queue', { [CONNECTIONS]: '1' }, [CONNECTIONS]],
    ['ten queues', { [CONNECTIONS]: '10' }, []],
    ['launches that wait', { [BLOCKING]: '1' }, [BLOCKING]],
    ['both', { [CONNECTIONS]: '1', [BLOCKING]: '1' }, [CONNECTIONS, BLOCKING]],
  ])('of %s', (_name, env, variables) => {
    expect(environmentWarnings(env).map(({ variable }) => variable)).toEqual(variables);
  });
});
