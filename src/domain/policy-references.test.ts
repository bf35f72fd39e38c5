import { expect, test } from "vitest";
import type { ResourceScope, StructuredRule } from "./policy.ts";
import { namesObject, withObject, withoutObject } from "./policy-references.ts";

const SERVER = { kind: "server", id: "s" } as const;
const AGENT = { kind: "agent", id: "a" } as const;
const everyone = { everyone: true } as const;
const everything = { everything: true } as const;

function on(resources: ResourceScope): StructuredRule {
  return { principals: everyone, resources };
}

function resourcesWithout(resources: ResourceScope): unknown {
  const left = withoutObject(on(resources), SERVER)?.resources;
  return left === undefined ? undefined : JSON.parse(JSON.stringify(left));
}

test("a server that goes leaves the rest, and never a wider rule", () => {
  expect(resourcesWithout({ servers: ["s", "t"] })).toEqual({ servers: ["t"] });
  expect(resourcesWithout({ servers: ["s"] })).toBeUndefined();
  expect(resourcesWithout({ servers: ["s"], tools: ["delete_*"] })).toBeUndefined();
  expect(resourcesWithout({ servers: ["t"], tools: ["s/x"] })).toBeUndefined();
  expect(resourcesWithout({ tools: ["s/x"] })).toBeUndefined();
  expect(resourcesWithout({ everything: true, tools: ["s/x"] })).toBeUndefined();
  expect(resourcesWithout({ tools: ["s/x", "y*"] })).toEqual({ tools: ["y*"] });
  expect(resourcesWithout({ servers: ["s"], groups: ["g"] })).toEqual({ groups: ["g"] });
  expect(resourcesWithout({ servers: ["s"], tools: ["x"], skills: ["k"] })).toEqual({ skills: ["k"] });
  expect(resourcesWithout({ everything: true, except: { servers: ["s"] } })).toEqual({ everything: true });
  expect(resourcesWithout({ everything: true, except: { servers: ["s", "t"], tools: ["x"] } })).toEqual({
    everything: true,
    except: { servers: ["t"], tools: ["x"] },
  });
  // The exception was for one server's tools only: without the server it must not become one for all.
  expect(resourcesWithout({ everything: true, except: { servers: ["s"], tools: ["x"] } })).toEqual({
    everything: true,
  });
});

test("a skill that goes leaves the rest, and never a wider rule", () => {
  const left = (resources: ResourceScope): unknown => {
    const rule = withoutObject(on(resources), { kind: "skill", id: "k" })?.resources;
    return rule === undefined ? undefined : JSON.parse(JSON.stringify(rule));
  };
  expect(left({ skills: ["k", "l"] })).toEqual({ skills: ["l"] });
  expect(left({ skills: ["k"] })).toBeUndefined();
  expect(left({ servers: ["s"], skills: ["k"] })).toEqual({ servers: ["s"] });
  expect(left({ tools: ["x"], skills: ["k"] })).toEqual({ tools: ["x"] });
  expect(left({ everything: true, except: { skills: ["k"] } })).toEqual({ everything: true });
  expect(left({ everything: true, except: { skills: ["k", "l"] } })).toEqual({
    everything: true,
    except: { skills: ["l"] },
  });
});

test("an agent that goes leaves the rest, and never everyone", () => {
  const principals = (given: StructuredRule["principals"]): unknown => {
    const left = withoutObject({ principals: given, resources: everything }, AGENT)?.principals;
    return left === undefined ? undefined : JSON.parse(JSON.stringify(left));
  };
  expect(principals({ agents: ["a"] })).toBeUndefined();
  expect(principals({ agents: ["a", "b"] })).toEqual({ agents: ["b"] });
  expect(principals({ agents: ["a"], groups: ["g"] })).toEqual({ groups: ["g"] });
  expect(principals({ everyone: true, except: { agents: ["a"] } })).toEqual({ everyone: true });
  expect(principals({ everyone: true, except: { agents: ["a"], roles: ["r"] } })).toEqual({
    everyone: true,
    except: { roles: ["r"] },
  });
});

test("an object is added where it is not selected yet, and taken out of the exceptions", () => {
  expect(withObject(on({ servers: ["t"] }), SERVER).resources).toEqual({ servers: ["t", "s"] });
  expect(withObject(on({ tools: ["x"] }), SERVER).resources).toEqual({ tools: ["x"] });
  expect(withObject(on({ groups: ["g"], tools: ["x"] }), SERVER).resources).toEqual({
    groups: ["g"],
    tools: ["x"],
    servers: ["s"],
  });
  expect(withObject(on(everything), SERVER).resources).toEqual(everything);
  const excepted = { principals: { everyone: true, except: { agents: ["a"] } }, resources: everything };
  expect(withObject(excepted, AGENT).principals).toEqual({ everyone: true });
  expect(namesObject(on({ servers: ["s"] }), SERVER)).toBe(true);
  expect(namesObject(on(everything), SERVER)).toBe(false);
});
