/** Builds at the first call, and gives the same from then on. What throws is tried again. */
export function once<T>(build: () => T): () => T {
  let built: { readonly value: T } | undefined;
  return () => (built ??= { value: build() }).value;
}
