// Waiting on facts, with an upper bound.
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Resolves when `holds` does; fails after that many seconds with what was waited for.
export async function until(what, seconds, holds) {
  const deadline = performance.now() + seconds * 1000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited ${seconds} s: ${what}`);
    await sleep(20);
  }
}

// Milliseconds since the epoch, of one clock for all processes of the machine.
export const now = () => performance.timeOrigin + performance.now();
