/** How the reporter is started on a machine. */
export interface ServiceOptions {
  /** The program and its arguments, absolute. */
  readonly command: readonly string[];
}

export type ServicePlatform = "systemd" | "launchd" | "windows";

/** The text of the file that makes a system run the reporter, and how to install it. Nothing is installed. */
export function serviceText(platform: ServicePlatform, { command }: ServiceOptions): string {
  if (platform === "systemd") return systemd(command);
  return platform === "launchd" ? launchd(command) : windowsTask(command);
}

function systemd(command: readonly string[]): string {
  return `# ~/.config/systemd/user/runlayer-device.service
# systemctl --user enable --now runlayer-device
[Unit]
Description=Runlayer device reporter
After=network-online.target

[Service]
ExecStart=${command.map(quoteSystemd).join(" ")}
Restart=on-failure
RestartSec=60
Nice=10
NoNewPrivileges=true
ProtectSystem=strict
ReadWritePaths=-%h/.runlayer

[Install]
WantedBy=default.target
`;
}

function launchd(command: readonly string[]): string {
  const words = command.map((word) => `    <string>${escapeXml(word)}</string>`).join("\n");
  return `<?xml version="1.0" encoding="UTF-8"?>
<!-- ~/Library/LaunchAgents/dev.runlayer.device.plist; launchctl load it -->
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>dev.runlayer.device</string>
  <key>ProgramArguments</key>
  <array>
${words}
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ProcessType</key>
  <string>Background</string>
</dict>
</plist>
`;
}

function windowsTask([program = "", ...args]: readonly string[]): string {
  return `<?xml version="1.0"?>
<!-- schtasks /Create /TN "Runlayer device" /XML runlayer-device.xml -->
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
    </LogonTrigger>
  </Triggers>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>8</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>999</Count>
    </RestartOnFailure>
  </Settings>
  <Actions>
    <Exec>
      <Command>${escapeXml(program)}</Command>
      <Arguments>${escapeXml(args.map(quoteWindows).join(" "))}</Arguments>
    </Exec>
  </Actions>
</Task>
`;
}

/** systemd.service(5): `%` starts a specifier, `$` a variable. */
function quoteSystemd(word: string): string {
  const escaped = word.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /^[\w@%+=:,./-]+$/.test(word) ? escaped : `"${escaped}"`;
}

function quoteWindows(word: string): string {
  return /[\s"]/.test(word) ? `"${word.replaceAll('"', '\\"')}"` : word;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
