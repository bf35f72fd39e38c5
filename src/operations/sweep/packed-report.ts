import { promisify } from "node:util";
import { gunzip, gunzipSync } from "node:zlib";
import { AppError } from "../../lib/errors.ts";
import { DeviceReportForm } from "../../sweep/device-report-form.ts";
import { parseInput } from "../parse-input.ts";

/** Far more than a report of thousands of servers; what unpacks to more is no report. */
const REPORT_BYTES_MAX = 16 * 1_048_576;

/** Unpacked on the spot: the way to a thread and back costs several times what so little takes, a bomb of it 10 ms. */
const SMALL_CHARACTERS_MAX = 16_384;

/** Unpacks a report (JSON, gzip, base64) and checks its form. Throws `invalid_input` for anything else. */
export async function unpackReport(compressed: string): Promise<DeviceReportForm> {
  const bytes = await unpack(compressed).catch((error: unknown) => {
    const message = `\`compressed\` is no gzip of at most ${REPORT_BYTES_MAX} bytes`;
    throw new AppError("invalid_input", message, { details: { field: "compressed" }, cause: error });
  });
  return parseInput(DeviceReportForm, parseJson(bytes.toString("utf8")));
}

async function unpack(compressed: string): Promise<Buffer> {
  const [bytes, options] = [Buffer.from(compressed, "base64"), { maxOutputLength: REPORT_BYTES_MAX }];
  return compressed.length <= SMALL_CHARACTERS_MAX ? gunzipSync(bytes, options) : promisify(gunzip)(bytes, options);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AppError("invalid_input", "`compressed` holds no JSON", {
      details: { field: "compressed" },
      cause: error,
    });
  }
}
