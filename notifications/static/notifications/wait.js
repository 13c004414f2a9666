const FIRST = 1_000; // ms
const LAST = 60_000;

/** ms until something that has failed so often is tried again: longer each time, and not all at once. */
export const backoff = (failures) => Math.min(FIRST * 2 ** failures, LAST) * (0.5 + Math.random() / 2);

export const pause = (ms) => new Promise((resume) => setTimeout(resume, ms));
