import { z } from "zod";
import { fromStoredText } from "./stored-text.ts";

/** A column that `toStoredText` wrote. */
export const storedForeignText = z.string().transform(fromStoredText);
