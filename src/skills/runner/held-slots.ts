/** The paused runs that a node bears: each keeps an engine in memory until somebody decides. */
export interface HeldSlots {
  /** Takes a place and gives the function that frees it; undefined when all are taken. `onExpiry`: held too long. */
  take(onExpiry: () => void): (() => void) | undefined;
}

export function createHeldSlots(slotsMax: number, holdMsMax: number): HeldSlots {
  let taken = 0;
  return {
    take(onExpiry) {
      if (taken >= slotsMax) return undefined;
      taken += 1;
      let isFree = false;
      const timer = setTimeout(onExpiry, holdMsMax);
      return () => {
        if (isFree) return;
        isFree = true;
        clearTimeout(timer);
        taken -= 1;
      };
    },
  };
}
