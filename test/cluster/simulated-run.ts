import type { Simulation } from '../../src/runtime/simulation.js';

/** Lets time pass in the simulation until `job` is done, `maxMs` of it at most. Settles as the job does. */
export async function runIn<T>(simulation: Simulation, job: Promise<T>, maxMs: number): Promise<T> {
  let done = false;
  const watched = job.finally(() => (done = true));
  watched.catch(() => {});
  await simulation.run({ until: () => done, maxMs });
  if (!done) throw new Error(`not done within ${maxMs} ms`);
  return watched;
}
