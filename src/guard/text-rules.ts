/** Where a text stands: what is normal in one place is an attack in another. */
export type TextSurface = "tool" | "skill" | "output";

/** One deterministic rule. All gaps are bounded, so that a rule reads a text in linear time. */
export interface TextRule {
  readonly id: string;
  readonly title: string;
  /** How sure one match makes us, 0 to 1. */
  readonly weight: number;
  readonly surfaces: readonly TextSurface[];
  readonly pattern: RegExp;
  /** If set, a match counts only when this occurs in the same text too (a source needs its sink). */
  readonly requires?: RegExp;
}

const ALL: readonly TextSurface[] = ["tool", "skill", "output"];

/** Texts that try to steer the model that reads them. */
const INSTRUCTION_RULES: readonly TextRule[] = [
  {
    id: "text.override",
    title: "tells the model to ignore its instructions",
    weight: 0.9,
    surfaces: ALL,
    pattern:
      /\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget|override|discard|neglect|bypass)\b[^.!?\n]{0,30}\b(?:previous|prior|above|earlier|preceding|existing|safety|content|system|your|all)\b[^.!?\n]{0,30}\b(?:instructions?|prompts?|guidelines?|directives?|restrictions?|polic(?:y|ies)|training|programming|safeguards?|context|rules|conversations?)\b/gi,
  },
  {
    id: "text.override-foreign",
    title: "tells the model, in another language, to ignore its instructions",
    weight: 0.9,
    surfaces: ALL,
    pattern:
      /\b(?:ignora|olvida|ignore[zr]?|oublie[zr]?|ignorier\w{0,3}|vergiss|vergessen|dimentica|esque[cç]a)\b[^.!?\n]{0,40}\b(?:instruc\w{2,8}|instructions|anweisungen|istruzioni)\b[^.!?\n]{0,30}(?:anterior\w{0,2}|previ[ae]s|pr[ée]c[ée]dent\w{0,3}|precedenti|vorherig\w{0,2})|(?:vorherig\w{0,2}|bisherig\w{0,2})\s{1,3}anweisungen|(?:忽略|無視|无视|忘记|忘掉)[^。\n]{0,12}(?:指令|指示|说明|規則|规则)|игнорир[^.\n]{0,30}(?:инструкци|указани)|تجاهل[^.\n]{0,30}(?:التعليمات|الأوامر)|(?:이전|위의)[^.\n]{0,12}(?:지시|명령)[^.\n]{0,8}무시|पिछले[^.\n]{0,20}(?:निर्देश)/giu,
  },
  {
    id: "text.conceal",
    title: "asks to keep something from the user",
    weight: 0.75,
    surfaces: ALL,
    pattern:
      /\b(?:do not|don['’]t|never|must not|without|avoid)\s{1,3}(?:ever\s)?(?:tell|mention|inform|reveal|notify|disclos|alert|telling|mentioning|informing|revealing|notifying|alerting)(?:e|ing)?\b[^.!?\n]{0,40}\b(?:the |to )?(?:user|human|operator|anyone|them)\b|\b(?:silently|secretly|covertly|quietly)\s{1,3}(?:send|read|call|copy|forward|upload|run|execute|collect|include|append|add|bcc|capture|log)/gi,
  },
  {
    id: "text.false-authority",
    title: "poses as a system message",
    weight: 0.7,
    surfaces: ALL,
    pattern:
      /<(?:important|system|secret|hidden|admin|instructions?|override)>|<\|(?:im_start|system|endoftext)\|>|\[(?:system|inst|admin)(?: message| override)?\]|\b(?:system|admin|security|developer)\s(?:override|mode (?:on|enabled|activated))|new (?:system )?instructions?:|\b(?:system|override|maintenance|debug|developer|verification) mode\b[^.\n]{0,30}(?:enter|activ|enabl|unrestrict)|\benter(?:ing)?\b[^.\n]{0,60}\bmode\b/gi,
  },
  {
    id: "text.precondition",
    title: "demands another action before or after the tool is used",
    weight: 0.55,
    surfaces: ["tool", "output"],
    pattern:
      /\b(?:before|prior to|after)\s{1,3}(?:using|calling|invoking|running|executing) (?:this|any|other|another)\b[^.\n]{0,50}\b(?:you must|must|always|first)\b|\byou (?:must|should) (?:always |first )?(?:call|use|invoke|run|read) [^.\n]{0,40}\b(?:first|before (?:any|every|all|using))\b[^.\n]{0,40}\b(?:other tools?|file|\.ssh|config|conversation)|\binstead of (?:the )?(?:original|requested|real|user)[^.\n]{0,40}/gi,
  },
  {
    id: "text.sensitive-read",
    title: "asks for a file that holds credentials",
    weight: 0.65,
    surfaces: ["tool", "output"],
    pattern:
      /(?:~\/|\/root\/|\/home\/[^\s/]{1,40}\/|%userprofile%\\)?\.(?:ssh\/|aws\/credentials|gnupg|netrc|kube\/config|docker\/config\.json|cursor\/mcp\.json)|\bid_(?:rsa|ed25519|ecdsa)\b|\/etc\/shadow|\/etc\/passwd|claude_desktop_config\.json/gi,
  },
  {
    id: "text.exfiltrate",
    title: "asks to send private content elsewhere",
    weight: 0.6,
    surfaces: ALL,
    pattern:
      /\b(?:send|post|upload|forward|transmit|append|include|copy|bcc|leak|echo)\b[^.!?\n]{0,50}\b(?:conversation|chat) (?:history|log|transcript|context)|\b(?:send|post|upload|forward|transmit|leak|exfiltrat\w{1,4})\b[^.!?\n]{0,40}\b(?:credentials|api keys?|secrets|passwords?|tokens|environment variables|private keys?)\b[^.!?\n]{0,40}\b(?:to|via)\b\s{1,3}(?:https?:|the (?:server|url|endpoint)|an? external|attacker|remote)|echo the value of the authorization header|\bpass (?:its|the|their) contents? as\b/gi,
  },
  {
    id: "text.jailbreak",
    title: "tries to lift the model's limits",
    weight: 0.7,
    surfaces: ALL,
    pattern:
      /\bdo anything now\b|\bDAN\b(?=[^\n|]{0,400}\b(?:AI|GPT|mode|prompt|jailbreak))|\bjail ?br(?:eak|oken)\b(?=[^\n]{0,60}\b(?:chatgpt|GPT|prompt|mode)\b)|\b(?:unfiltered|uncensored|unrestricted|amoral|unhinged)\b[^.\n]{0,30}\b(?:ai|gpt|chatbot|assistant|model|mode|bot|responses?|answers?)\b|\b(?:no|without(?: any)?|free (?:of|from)(?: all)?|not bound by(?: any)?|bypass(?:es|ing)?(?: all)?|breaks?)\s(?:the )?(?:moral|ethical|safety|content|ai|openai['’]?s?|legal)\b[^.\n]{0,30}\b(?:guidelines?|restrictions?|rules|limits?|limitations?|boundar\w{1,4}|filters?|polic\w{1,4}|prohibitions|principles|constraints|code)|\b(?:never|cannot|can['’]t|do not|don['’]t|will not|won['’]t|must not)\s(?:ever )?(?:refuse|deny|decline|reject)\b|\b(?:stay|remain|break(?:ing)?)\s(?:in |your )?character\b|\b(?:unfiltered|evil|based|chaos|anti|un)gpt\b|opposite (?:day|mode)/gi,
  },
  {
    id: "text.role-change",
    title: "gives the model another role",
    weight: 0.5,
    surfaces: ["output", "tool"],
    pattern:
      /\b(?:from now on|starting now|from this (?:point|moment)(?: on| forward)?|for the rest of (?:this|our))\b[^.\n]{0,50}\b(?:you(?:['’]ll)?|chatgpt|your)\b|\byou (?:are|will be|'re) (?:now|no longer|going to (?:act|pretend|be))\b(?! (?:able|ready|connected|in a))|\b(?:you (?:will|are to|must|should|shall|are going to|have to)|please|i want you to|imitate|pretend)\s{1,3}(?:to )?(?:role-?play|pretend|act as|imitate|impersonate|simulate|emulate|immerse|take on)\b|\b(?:act|respond|answer|reply|speak|behave)\b[^.\n]{0,24}\b(?:as|like) (?:if you (?:are|were)|chatgpt with|an? (?:ai|evil|gpt|character|amoral|hacker|unethical))|\b(?:two|2) (?:separate |different |distinct )?(?:ways|responses|answers|styles|paragraphs|persons|modes)\b|\brole-?play as\b|\bplay(?:ing)? (?:the role|a game)\b/gi,
  },
  {
    id: "text.prompt-leak",
    title: "asks for the hidden prompt or a password",
    weight: 0.65,
    surfaces: ["tool", "output"],
    pattern:
      /\b(?:reveal|print|repeat|output|show|share|tell|give|what (?:is|are|were)|what['’]s|display|leak|translate|encode|summari[sz]e)\b[^.!?\n]{0,40}\b(?:system|initial|original|hidden|secret) (?:prompts?|instructions?|message)\b|\b(?:tell|give|share|reveal|say|what(?:['’]s| is| was)|guess|spell|know|about|contain)\b[^.!?\n]{0,30}\b(?:your|the|my)\s(?:secret |current )?(?:password|passcode|pass ?word|secret key)\b|\b(?:contraseña|mot de passe|passwort|senha|пароль|密码|パスワード)\b|密码|パスワード|비밀번호|पासवर्ड|كلمة المرور/giu,
  },
  {
    id: "text.answer-injection",
    title: "dictates what the answer must say",
    weight: 0.6,
    surfaces: ["output"],
    pattern:
      /\b(?:in|to|into|within|throughout) your (?:response|reply|answer|output|solution|reasoning|code)\b|\b(?:include|insert|add|append|mention|embed|incorporate|integrate|inject|implant|insinuate|merge|meld|place|graft|infuse|adapt)\b[^.\n]{0,40}\b(?:following|this|these|below)\b[^.\n]{0,40}\b(?:code|snippet|sentence|link|script|text|phrase|statement|excerpt|section|fragment|url|function|module|program|block|segment|instructions?)\b|\bstate the following\b|\bsay that (?:the|it|he|she)\b[^.\n]{0,40}['"]|\bi admit to using an llm\b/gi,
  },
];

/** Code and tools whose purpose is an attack. */
const CAPABILITY_RULES: readonly TextRule[] = [
  {
    id: "text.reverse-shell",
    title: "opens a remote shell",
    weight: 0.9,
    surfaces: ALL,
    pattern:
      /\/dev\/tcp\/|\bnc(?:at)?\s{1,3}(?:-[a-z]{1,6}\s{1,3}){0,4}-[a-z]{0,4}e[a-z]{0,3}\s{1,3}\S{0,40}sh\b|\bbash -i\s{0,3}[>&]|\b(?:reverse|bind|web)[ _-]?shell\b/gi,
  },
  {
    id: "text.attack-tool",
    title: "offers an attack as a tool",
    weight: 0.7,
    surfaces: ["tool"],
    pattern:
      /\b(?:exfiltrat\w{1,4}|exfil|privesc|privilege escalation|escalat\w{1,4} (?:of )?privileges?|mimikatz|lsass|kerberoast\w{0,3}|asrep\w{0,6}|golden ticket|silver ticket|pass.the.(?:hash|ticket)|dcsync|bloodhound|keylog\w{0,4}|keystrokes?|backdoor\w{0,4}|rootkit|ransomware|deploy malware|steal(?:ing|s)?|stolen|hijack\w{0,4}|spoof\w{0,3}|phish\w{0,4}|covert|stegano\w{2,6}|brute.?forc\w{1,3}|crack(?:ing)?|credential (?:dump|harvest|theft|stuff|access|spray)\w{0,4}|harvest\w{0,3}|dump (?:\w{1,20} ){0,4}(?:credentials?|hash(?:es)?|passwords?|secrets?|sam|memory|tickets?|tokens?)|exploit\w{0,6}|payloads?|bypass\w{0,3}|inject(?:ion|ing|s)?|poison\w{0,3}|persistence|tamper\w{0,3}|subdomain takeover|overflow|setuid|suid|gtfobins|uac|amsi|evasi\w{1,3}|dns tunnel\w{0,4}|intercept\w{0,3}|sniff\w{0,4}|sandbox escape|escape from|container escape|breakout|impersonat\w{1,4}|obfuscat\w{1,4}|traversal|race condition|toctou|timestomp\w{0,4}|encoded powershell|arbitrary (?:code|commands?|files?|reads?|writes?)|hidden window|wordlist|msf\w{0,6}|metasploit|laps|ntds|lolbin\w{0,2}|ld_preload|symlink attack|null byte|deserial\w{2,8})\b/gi,
  },
  {
    id: "text.attack-name",
    title: "names itself after an attack step",
    weight: 0.65,
    surfaces: ["tool"],
    pattern: /(?:^|\n)(?:exfil|privesc|cmdi|recon|cred|rce|sqli|ssrf|xxe|lfi|c2|pwn|keylog)_\w{2,60}/gi,
  },
  {
    id: "text.recon",
    title: "maps targets for an attack",
    weight: 0.6,
    surfaces: ["tool"],
    pattern:
      /\b(?:port scan\w{0,4}|scan (?:\w{1,20} ){0,3}(?:ports?|hosts?|subnets?)|vulnerabilit\w{1,4} scan\w{0,4}|enumerat\w{1,4} (?:\w{1,20} ){0,4}(?:users?|shares?|buckets?|subdomains?|hosts?|director\w{1,4}|accounts?|containers?|services?|domain|ldap|smb)|(?:os|service|waf|tech\w{0,8}) (?:fingerprint\w{0,4}|detection)|banner grab\w{0,5}|zone transfer|shodan|censys|google dork\w{0,4}|osint|nmap|masscan|footprint\w{0,4})\b/gi,
  },
  {
    id: "text.pipe-to-shell",
    title: "runs what it downloads",
    weight: 0.6,
    surfaces: ALL,
    pattern:
      /\b(?:curl|wget|iwr|invoke-webrequest)\b[^|\n]{0,200}\|\s{0,3}(?:sudo\s{1,3})?(?:(?:ba|z|da)?sh|python3?|node|iex)\b|exec\(\s{0,3}(?:requests\.get|urllib[\w.]{0,30}urlopen|base64\.b64decode|open)\(|\b(?:exec|eval)\(\s{0,3}(?:base64|codecs|zlib|bytes\.fromhex|marshal|compile)\b/gi,
  },
  {
    id: "text.code-exfiltration",
    title: "reads credentials and sends data out in the same code",
    weight: 0.75,
    surfaces: ["skill", "output"],
    pattern:
      /os\.environ(?:\.items\(\)|\.copy\(\)|\)|\s{0,3}\})|dict\(os\.environ|json\.dumps\([^\n]{0,40}environ|\.aws\/credentials|\.ssh\/|id_rsa|\.netrc|virtual_memory\(\)|\/etc\/(?:passwd|shadow)|keychain|browser (?:cookies|passwords)/gi,
    requires:
      /requests\.(?:post|put|get)\(|urlopen\(|http\.client|socket\.(?:socket|create)|smtplib|\bfetch\(|\bcurl\b|axios\.post/i,
  },
  {
    id: "text.unsafe-execution",
    title: "runs its input as code, a command or a query",
    weight: 0.65,
    surfaces: ["skill"],
    pattern:
      /\b(?:eval|exec)\(\s{0,3}(?:expression|user_\w{1,20}|code|input|data|expr|cmd|command|query|formula|script|decoded|payload|algorithm\w{0,10})\b|os\.(?:system|popen)\(\s{0,3}(?:f["']|[a-z_]{1,30}\s{0,3}[+)])|subprocess\.\w{1,16}\([^\n]{0,120}shell\s{0,2}=\s{0,2}True|pickle\.loads?\(|\.execute\(\s{0,3}f["']|f["']\s{0,3}(?:select|insert|update|delete)\s[^"'\n]{0,120}\{|child_process[^\n]{0,40}exec/gi,
  },
  {
    id: "text.resource-abuse",
    title: "uses time or memory without bound",
    weight: 0.55,
    surfaces: ["skill", "tool"],
    pattern:
      /while True:\s{0,20}\n[^\n]{0,80}(?:append|\+=|\*\s?\d|fork|Thread|\bpass\b)|\bfork bomb\b|:\(\)\s?\{\s?:\|:&|retry [^.\n]{0,30}\b(?:indefinitely|forever|until)\b|\[\s?["'0-9a-zA-Z]{1,4}\s?\]?\s?\*\s?(?:10\s?\*\*\s?[89]|\d{9,})|\bresource exhaustion\b/gi,
  },
  {
    id: "text.tunnel-endpoint",
    title: "sends data to a throw-away endpoint",
    weight: 0.65,
    surfaces: ALL,
    pattern:
      /\bhttps?:\/\/[a-z0-9.-]{0,80}(?:ngrok(?:-free)?\.(?:io|app|dev)|webhook\.site|requestbin\.\w{2,4}|pipedream\.net|burpcollaborator\.net|oast\.\w{2,6}|trycloudflare\.com|localtunnel\.me|serveo\.net|interact\.sh|evil\.(?:com|example|org)|attacker\.(?:com|example|org)|malicious[a-z.-]{0,20})/gi,
  },
];

export const TEXT_RULES: readonly TextRule[] = [...INSTRUCTION_RULES, ...CAPABILITY_RULES];
