// typage behind the command line of age, as far as the scenarios use it: age.mjs -r RECIPIENT... < plain > file, age.mjs -d -i FILE... FILE > plain.
// typage knows no plugins. A pinned recipient of kvp11 is encrypted to by what its manual page says, with nothing of kvp11's code: whoever reads that page can do as much.
import { createHash, createPublicKey, constants, publicEncrypt, webcrypto } from "node:crypto";
import { readFileSync, writeSync } from "node:fs";
import { bech32 } from "@scure/base";

globalThis.crypto ??= webcrypto; // Node 18 has it only when asked
const { Decrypter, Encrypter, Stanza } = await import("age-encryption");

const unpadded = (bytes) => Buffer.from(bytes).toString("base64").replaceAll("=", "");

class PinnedRecipient {
  constructor(text) {
    const data = bech32.fromWords(bech32.decode(text, false).words);
    if (data[0] !== 1) throw new Error("this recipient is not pinned");
    this.spki = Buffer.from(data.slice(1));
  }
  wrapFileKey(fileKey) {
    const key = createPublicKey({ key: this.spki, format: "der", type: "spki" });
    const body = publicEncrypt({ key, oaepHash: "sha256", padding: constants.RSA_PKCS1_OAEP_PADDING }, fileKey);
    return [new Stanza(["kvp11-rsa-oaep-256", unpadded(createHash("sha256").update(this.spki).digest())], new Uint8Array(body))];
  }
}

const words = process.argv.slice(2);
const after = (option) => words.flatMap((word, i) => (words[i - 1] === option ? [word] : []));
let output;
if (words.includes("-d")) {
  const decrypter = new Decrypter();
  for (const file of after("-i"))
    for (const line of readFileSync(file, "utf8").split("\n"))
      if (line.startsWith("AGE-SECRET-KEY-")) decrypter.addIdentity(line);
  output = await decrypter.decrypt(new Uint8Array(readFileSync(words.at(-1))), "uint8array");
} else {
  const encrypter = new Encrypter();
  for (const text of after("-r")) encrypter.addRecipient(text.startsWith("age1kvp111") ? new PinnedRecipient(text) : text);
  output = await encrypter.encrypt(new Uint8Array(readFileSync(0)));
}
for (let at = 0; at < output.length; ) at += writeSync(1, output.subarray(at));
