// The types of Node do not describe WebAssembly and the DOM library would bring in a browser: this is all we touch.
declare namespace WebAssembly {
  // oxlint-disable-next-line typescript/no-extraneous-class -- describes the platform's class, whose insides are opaque
  class Module {
    constructor(bytes: Uint8Array);
  }
}
