import { isJsonObject } from "../../src/policy/json-tree.ts";

const ATTEMPTS_MAX = 2_000;

/** A smaller tree for which `isBad` still holds: nodes give way to their own parts, lists to shorter ones. */
export function shrink(tree: unknown, isBad: (tree: unknown) => boolean): unknown {
  let smallest = tree;
  let attempts = 0;
  for (let isShrinking = true; isShrinking;) {
    isShrinking = false;
    for (const candidate of smaller(smallest)) {
      attempts += 1;
      if (attempts > ATTEMPTS_MAX) return smallest;
      if (!stillBad(candidate, isBad)) continue;
      smallest = candidate;
      isShrinking = true;
      break;
    }
  }
  return smallest;
}

/** A candidate may be no policy at all any more; then it is not the one. */
function stillBad(candidate: unknown, isBad: (tree: unknown) => boolean): boolean {
  try {
    return isBad(candidate);
  } catch {
    return false;
  }
}

function* smaller(tree: unknown): Generator {
  if (Array.isArray(tree)) {
    for (const index of tree.keys()) yield tree.toSpliced(index, 1);
    for (const [index, item] of tree.entries()) for (const part of smaller(item)) yield tree.with(index, part);
    return;
  }
  if (!isJsonObject(tree)) return;
  for (const operands of Object.values(tree)) {
    if (isJsonObject(operands)) yield* Object.values(operands);
    if (Array.isArray(operands)) yield* operands;
  }
  for (const [name, item] of Object.entries(tree)) for (const part of smaller(item)) yield { ...tree, [name]: part };
}
