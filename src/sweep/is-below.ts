/** Whether a path lies in a folder, by its text alone: both may be of another machine, and of another system than this one. */
export function isBelow(path: string, folder: string): boolean {
  return path.startsWith(folder) && /[\\/]/.test(path.charAt(folder.length));
}
