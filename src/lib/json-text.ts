/**
 * A JSON value that is at hand as text, which need not be parsed only to be written again. Written by `JSON.stringify` it is the value,
 * as every other one; who knows of it takes the text. `text` MUST be JSON, on one line.
 */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toJSON(): unknown {
    return JSON.parse(this.text);
  }
}
