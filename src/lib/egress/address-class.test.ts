import { assert, ipV4, property } from "fast-check";
import { expect, test } from "vitest";
import { type AddressKind, canonicalAddress, classifyAddress, isLoopback } from "./address-class.ts";

const TABLE: readonly (readonly [address: string, kind: AddressKind])[] = [
  ["8.8.8.8", "public"],
  ["1.1.1.1", "public"],
  ["172.15.255.255", "public"],
  ["172.32.0.0", "public"],
  ["100.63.255.255", "public"],
  ["100.128.0.0", "public"],
  ["169.253.255.255", "public"],
  ["223.255.255.255", "public"],
  ["2606:4700:4700::1111", "public"],
  ["127.0.0.1", "private"],
  ["127.255.255.254", "private"],
  ["10.0.0.1", "private"],
  ["10.255.255.255", "private"],
  ["172.16.0.1", "private"],
  ["172.31.255.255", "private"],
  ["192.168.1.1", "private"],
  ["100.64.0.1", "private"],
  ["100.127.255.255", "private"],
  ["198.18.0.1", "private"],
  ["::1", "private"],
  ["0:0:0:0:0:0:0:1", "private"],
  ["fd12:3456::1", "private"],
  ["fc00::1", "private"],
  ["fec0::1", "private"],
  ["169.254.169.254", "refused"],
  ["169.254.0.1", "refused"],
  ["169.254.170.2", "refused"],
  ["100.100.100.200", "refused"],
  ["168.63.129.16", "refused"],
  ["192.0.0.192", "refused"],
  ["0.0.0.0", "refused"],
  ["0.1.2.3", "refused"],
  ["224.0.0.1", "refused"],
  ["239.255.255.255", "refused"],
  ["255.255.255.255", "refused"],
  ["240.0.0.1", "refused"],
  ["::", "refused"],
  ["fe80::1", "refused"],
  ["fe80::1%eth0", "refused"],
  ["febf::1", "refused"],
  ["ff02::1", "refused"],
  ["fd00:ec2::254", "refused"],
  ["fd20:ce::254", "refused"],
  // IPv4 inside IPv6
  ["::ffff:8.8.8.8", "public"],
  ["::ffff:127.0.0.1", "private"],
  ["::ffff:7f00:1", "private"],
  ["::ffff:169.254.169.254", "refused"],
  ["::ffff:a9fe:a9fe", "refused"],
  ["::ffff:0.0.0.0", "refused"],
  ["::ffff:0:127.0.0.1", "private"],
  ["::127.0.0.1", "private"],
  ["::169.254.169.254", "refused"],
  ["64:ff9b::8.8.8.8", "public"],
  ["64:ff9b::127.0.0.1", "private"],
  ["64:ff9b::a9fe:a9fe", "refused"],
  ["64:ff9b:1::a9fe:a9fe", "refused"],
  ["64:ff9b:1::8.8.8.8", "private"],
  ["2002:7f00:1::", "private"],
  ["2002:a9fe:a9fe::1", "refused"],
  ["2002:808:808::1", "public"],
  // Teredo stores the client's address inverted: 5601:5601 is 169.254.169.254.
  ["2001:0:4136:e378:8000:63bf:5601:5601", "refused"],
  ["2001:0:4136:e378:8000:63bf:80ff:fffe", "private"],
  ["", "refused"],
  ["localhost", "refused"],
  ["1.2.3.4.5", "refused"],
];

test.each(TABLE)("classifies %s as %s", (address, kind) => {
  expect(classifyAddress(address).kind).toBe(kind);
});

test("an IPv4 address is treated no better when it comes as IPv4-mapped, NAT64 or 6to4", () => {
  const rank = { public: 0, private: 1, refused: 2 };
  assert(
    property(ipV4(), (address) => {
      const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
      const hex = [(a << 8) | b, (c << 8) | d].map((part) => part.toString(16)).join(":");
      const own = rank[classifyAddress(address).kind];
      for (const form of [`::ffff:${hex}`, `64:ff9b::${hex}`, `2002:${hex}::1`]) {
        expect(rank[classifyAddress(form).kind], form).toBe(own);
      }
    }),
    { numRuns: 2000 },
  );
});

test("gives one text per address", () => {
  expect(canonicalAddress("::ffff:127.0.0.1")).toBe("127.0.0.1");
  expect(canonicalAddress("0:0:0:0:0:0:0:1")).toBe("::1");
  expect(canonicalAddress("fe80::1%eth0")).toBe("fe80::1");
  expect(canonicalAddress("example.com")).toBeUndefined();
  expect(isLoopback("::ffff:127.9.9.9")).toBe(true);
  expect(isLoopback("128.0.0.1")).toBe(false);
});
