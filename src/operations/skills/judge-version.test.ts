import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";

const folder = new URL("./", import.meta.url).href;

/** Whether the parsers are loaded with an operation, and when it is prepared: in a process of its own, because this one has them. */
function loadsParsers(file: string, operation: string, input: Readonly<Record<string, unknown>>): unknown {
  const script = `
    import { registerHooks } from "node:module";
    let isLoaded = false;
    registerHooks({
      load(url, context, next) {
        isLoaded ||= url.endsWith("/judge-skill.ts");
        return next(url, context);
      },
    });
    const { ${operation} } = await import(${JSON.stringify(new URL(file, folder).href)});
    const withIt = isLoaded;
    await ${operation}.start(${JSON.stringify(input)}).prepare({});
    console.log(JSON.stringify({ withIt, prepared: isLoaded }));`;
  const output = execFileSync(process.execPath, ["--input-type=module", "--eval", script], { encoding: "utf8" });
  return JSON.parse(output);
}

test.each([
  ["create-skill.ts", "createSkill", { name: "fmt", description: "Formats", instructions: "Format it" }],
  ["update-skill.ts", "updateSkill", { id: "fmt", instructions: "Format it" }],
])(
  "%s loads its parsers for the first call, before the transaction in which others would wait",
  (file, operation, input) => {
    expect(loadsParsers(file, operation, input)).toEqual({ withIt: false, prepared: true });
  },
);
