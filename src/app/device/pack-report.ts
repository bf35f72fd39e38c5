import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { AppError } from "../../lib/errors.ts";
import type { DeviceReportForm, DeviceReportSection } from "../../sweep/device-report-form.ts";

/** The limits of the control plane for one report, as it is sent and unpacked. */
const COMPRESSED_CHARACTERS_MAX = 900_000;
const UNPACKED_BYTES_MAX = 16 * 1_048_576;

/**
 * A report as it is sent: gzip, base64. One that is too large is cut until it fits, and says so: whoever can write one file on a device MUST NOT keep it
 * from reporting. The file that tells most is cut first, so that it cannot push out the others.
 */
export async function packReport(report: DeviceReportForm): Promise<string> {
  for (const sections of cuts(report.sections)) {
    const json = JSON.stringify({ ...report, sections });
    if (Buffer.byteLength(json) > UNPACKED_BYTES_MAX) continue;
    const compressed = (await promisify(gzip)(json)).toString("base64");
    if (compressed.length <= COMPRESSED_CHARACTERS_MAX) return compressed;
  }
  throw new AppError("payload_too_large", "this machine has more homes than one report may; name some with `--home`");
}

/** More and more of the sections left out, at first nothing. */
function* cuts(sections: readonly DeviceReportSection[]): Generator<readonly DeviceReportSection[]> {
  yield sections;
  for (let perFile = 1024; perFile >= 1; perFile /= 2) yield sections.map((section) => cutFiles(section, perFile));
  for (let inAll = 4096; inAll >= 1; inAll /= 2) yield sections.map((section) => cutLists(section, inAll));
}

function cutFiles(section: DeviceReportSection, max: number): DeviceReportSection {
  const { servers, observations } = section;
  return asCut(section, { servers: firstOfEachFile(servers, max), observations: firstOfEachFile(observations, max) });
}

function firstOfEachFile<Told extends { readonly path?: string | undefined }>(told: readonly Told[], max: number) {
  const counts = new Map<string | undefined, number>();
  return told.filter(({ path }) => {
    const count = (counts.get(path) ?? 0) + 1;
    counts.set(path, count);
    return count <= max;
  });
}

function cutLists(section: DeviceReportSection, max: number): DeviceReportSection {
  const { servers, observations, skills, installs, unread } = cutFiles(section, 1);
  return asCut(section, {
    servers: servers.slice(0, max),
    observations: observations.slice(0, max),
    skills: skills.slice(0, max),
    installs: installs.slice(0, max),
    unread: unread.slice(0, max),
  });
}

type Lists = Partial<Pick<DeviceReportSection, "servers" | "observations" | "skills" | "installs" | "unread">>;

/** What is cut is not gone: such a section ends no finding. One that lost nothing stays as it was. */
function asCut(section: DeviceReportSection, lists: Lists): DeviceReportSection {
  const whole = { ...section, ...lists };
  const isSame = (["servers", "observations", "skills", "installs", "unread"] as const).every(
    (list) => whole[list].length === section[list].length,
  );
  if (isSame) return section;
  const gap = {
    path: section.path ?? section.place,
    reason: "it holds more than one report may; the rest was left out",
  };
  return { ...whole, isComplete: false, unread: [gap, ...whole.unread].slice(0, UNREAD_MAX) };
}

/** Of the form. */
const UNREAD_MAX = 10_000;
