/** The item at an index that must exist: the model never reads past an input. */
export function at<T>(items: ArrayLike<T>, index: number): T {
  const item = items[index];
  if (item === undefined)
    throw new RangeError(`expected an index below ${items.length}, received ${index}`);
  return item;
}

/** Adds one to a counter that must exist. */
export function increment(counters: Int32Array, index: number): void {
  counters[index] = at(counters, index) + 1;
}
