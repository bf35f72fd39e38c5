/** Reads of the program itself that run at once. They are short: two, so that one that is not does not hold up the view. */
export const OWN_READS_MAX = 2;
