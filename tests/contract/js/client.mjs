// The official client library, unmodified, against the emulator: challenge verification is on, the authority is the
// emulator's, its CA comes by NODE_EXTRA_CA_CERTS. Only the name look-up is ours, since Node does not resolve
// *.localhost. Usage: client.mjs READY-FILE. Prints "ok - …" or "not ok - …" for each check.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import dns from "node:dns";
import { readFileSync } from "node:fs";
import { ClientSecretCredential } from "@azure/identity";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";

const lookup = dns.lookup;
dns.lookup = (name, options, done) =>
  name.endsWith(".localhost") ? lookup("127.0.0.1", options, done) : lookup(name, options, done);

const ready = JSON.parse(readFileSync(process.argv[2], "utf8"));
const credential = new ClientSecretCredential(ready.tenant, "operator", "operator-secret", {
  authorityHost: ready.authority,
  disableInstanceDiscovery: true,
});
const vault = new KeyClient(ready.vaults.prod, credential);
const hsm = new KeyClient(ready.vaults.hsm, credential);
const poll = { intervalInMs: 50 };
const plaintext = new TextEncoder().encode("a data key of thirty-two bytes..");
const digest = createHash("sha256").update(plaintext).digest();

const crypto = (key) => new CryptographyClient(key, credential);
const all = async (pages) => {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
};
const deleted = async (client, name) => {
  const poller = await client.beginDeleteKey(name, poll);
  return poller.pollUntilDone();
};

let failed = 0;
async function check(name, body) {
  try {
    await body();
    console.log(`ok - official client: ${name}`);
  } catch (error) {
    failed++;
    console.log(`not ok - official client: ${name}`);
    console.log(`#   ${String(error.stack ?? error).split("\n").slice(0, 4).join("\n#   ")}`);
  }
}

await check("creates RSA and EC keys of every size and curve", async () => {
  for (const keySize of [2048, 3072, 4096]) {
    const key = await vault.createRsaKey(`js-rsa-${keySize}`, { keySize });
    assert.equal(key.keyType, "RSA");
    assert.equal(key.key.n.length, keySize / 8);
  }
  for (const [curve, width] of [["P-256", 32], ["P-384", 48], ["P-521", 66], ["P-256K", 32]]) {
    const key = await vault.createEcKey(`js-ec-${curve}`, { curve });
    assert.equal(key.key.crv, curve);
    assert.deepEqual([key.key.x.length, key.key.y.length], [width, width]);
  }
});

await check("gets a key with and without its version", async () => {
  const latest = await vault.getKey("js-rsa-2048");
  const exact = await vault.getKey("js-rsa-2048", { version: latest.properties.version });
  assert.match(latest.properties.version, /^[0-9a-f]{32}$/);
  assert.equal(latest.id, exact.id);
  assert.equal(latest.properties.enabled, true);
});

await check("tells a missing key by its code", async () => {
  await assert.rejects(vault.getKey("js-missing"), { statusCode: 404, code: "KeyNotFound" });
});

await check("imports a key", async () => {
  const jwk = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
  const key = Object.fromEntries(Object.entries(jwk).map(([name, text]) =>
    [name, name === "kty" ? text : new Uint8Array(Buffer.from(text, "base64url"))]));
  const imported = await vault.importKey("js-imported", { ...key, keyOps: ["sign", "verify"] });
  assert.deepEqual(Buffer.from(imported.key.n), Buffer.from(key.n));
});

await check("updates attributes and tags", async () => {
  const { properties } = await vault.getKey("js-ec-P-384");
  const expiresOn = new Date(Math.floor(Date.now() / 1000) * 1000 + 86400000);
  const updated = await vault.updateKeyProperties("js-ec-P-384", properties.version,
    { enabled: false, expiresOn, tags: { purpose: "test" } });
  assert.equal(updated.properties.enabled, false);
  assert.equal(updated.properties.expiresOn.getTime(), expiresOn.getTime());
  assert.deepEqual(updated.properties.tags, { purpose: "test" });
  await assert.rejects(crypto(updated.id).sign("ES384", createHash("sha384").digest()));
});

await check("rotates, and lists every version once", async () => {
  const first = await vault.createRsaKey("js-rotated");
  const second = await vault.rotateKey("js-rotated");
  const third = await vault.rotateKey("js-rotated");
  const versions = (await all(vault.listPropertiesOfKeyVersions("js-rotated"))).map((item) => item.version);
  assert.deepEqual([...versions].sort(),
    [first, second, third].map((key) => key.properties.version).sort());
  assert.equal((await vault.getKey("js-rotated")).properties.version, third.properties.version);
});

await check("lists keys over several pages", async () => {
  for (let i = 0; i < 30; i++) await vault.createEcKey(`js-page-${i}`);
  const names = (await all(vault.listPropertiesOfKeys())).map((item) => item.name);
  assert.equal(new Set(names).size, names.length);
  for (let i = 0; i < 30; i++) assert.ok(names.includes(`js-page-${i}`));
});

await check("gets and updates a rotation policy", async () => {
  const policy = await vault.updateKeyRotationPolicy("js-rotated", {
    expiresIn: "P90D",
    lifetimeActions: [{ action: "Rotate", timeAfterCreate: "P30D" }],
  });
  assert.equal(policy.expiresIn, "P90D");
  const again = await vault.getKeyRotationPolicy("js-rotated");
  assert.deepEqual(again.lifetimeActions.map((item) => item.action).sort(), ["Notify", "Rotate"]);
  assert.ok((await vault.rotateKey("js-rotated")).properties.expiresOn > new Date());
});

for (const [name, alg, hash] of [
  ["js-rsa-2048", "RS256", "sha256"], ["js-rsa-2048", "PS384", "sha384"], ["js-rsa-4096", "RS512", "sha512"],
  ["js-ec-P-256", "ES256", "sha256"], ["js-ec-P-521", "ES512", "sha512"], ["js-ec-P-256K", "ES256K", "sha256"],
]) {
  await check(`signs and verifies with ${alg}`, async () => {
    const client = crypto((await vault.getKey(name)).id);
    const hashed = createHash(hash).update(plaintext).digest();
    const { result } = await client.sign(alg, hashed);
    assert.equal((await client.verify(alg, hashed, result)).result, true);
    const forged = createHash(hash).update("something else").digest();
    assert.equal((await client.verify(alg, forged, result)).result, false);
  });
}

for (const alg of ["RSA1_5", "RSA-OAEP", "RSA-OAEP-256"]) {
  await check(`wraps, unwraps, encrypts and decrypts with ${alg}`, async () => {
    const client = crypto((await vault.getKey("js-rsa-3072")).id);
    const wrapped = await client.wrapKey(alg, plaintext);
    assert.deepEqual(Buffer.from((await client.unwrapKey(alg, wrapped.result)).result), Buffer.from(plaintext));
    const encrypted = await client.encrypt({ algorithm: alg, plaintext });
    const decrypted = await client.decrypt({ algorithm: alg, ciphertext: encrypted.result });
    assert.deepEqual(Buffer.from(decrypted.result), Buffer.from(plaintext));
  });
}

await check("unwraps with the old version after a rotation, and not with the new one", async () => {
  const old = await vault.createRsaKey("js-backup-kek");
  const wrapped = await crypto(old.id).wrapKey("RSA-OAEP-256", plaintext);
  const current = await vault.rotateKey("js-backup-kek");
  const unwrapped = await crypto(old.id).unwrapKey("RSA-OAEP-256", wrapped.result);
  assert.deepEqual(Buffer.from(unwrapped.result), Buffer.from(plaintext));
  await assert.rejects(crypto(current.id).unwrapKey("RSA-OAEP-256", wrapped.result),
    { statusCode: 400, code: "BadParameter" });
});

await check("deletes, lists deleted, recovers", async () => {
  const key = await vault.createEcKey("js-recovered");
  const gone = await deleted(vault, "js-recovered");
  assert.ok(gone.properties.scheduledPurgeDate > gone.properties.deletedOn);
  assert.ok((await all(vault.listDeletedKeys())).some((item) => item.name === "js-recovered"));
  assert.equal((await vault.getDeletedKey("js-recovered")).key.kid, key.id);
  await assert.rejects(vault.createEcKey("js-recovered"), { statusCode: 409 });
  const poller = await vault.beginRecoverDeletedKey("js-recovered", poll);
  assert.equal((await poller.pollUntilDone()).id, key.id);
});

await check("backs up, purges and restores all versions", async () => {
  const first = await vault.createRsaKey("js-restored");
  const wrapped = await crypto(first.id).wrapKey("RSA-OAEP", plaintext);
  const second = await vault.rotateKey("js-restored");
  const backup = await vault.backupKey("js-restored");
  await deleted(vault, "js-restored");
  await vault.purgeDeletedKey("js-restored");
  await assert.rejects(vault.getDeletedKey("js-restored"), { statusCode: 404 });
  assert.equal((await vault.restoreKeyBackup(backup)).id, second.id);
  const unwrapped = await crypto(first.id).unwrapKey("RSA-OAEP", wrapped.result);
  assert.deepEqual(Buffer.from(unwrapped.result), Buffer.from(plaintext));
});

await check("Managed HSM: creates EC-HSM and signs", async () => {
  const key = await hsm.createEcKey("js-hsm-ec", { curve: "P-256", hsm: true });
  assert.equal(key.keyType, "EC-HSM");
  const client = crypto(key.id);
  const { result } = await client.sign("ES256", digest);
  assert.equal((await client.verify("ES256", digest, result)).result, true);
});

await check("Managed HSM: oct-HSM wraps and unwraps", async () => {
  const key = await hsm.createOctKey("js-hsm-oct", { keySize: 256, hsm: true });
  assert.equal(key.keyType, "oct-HSM");
  const client = crypto(key.id);
  const wrapped = await client.wrapKey("A256KW", plaintext);
  assert.equal(wrapped.result.length, plaintext.length + 8);
  assert.deepEqual(Buffer.from((await client.unwrapKey("A256KW", wrapped.result)).result), Buffer.from(plaintext));
});

await check("Managed HSM: oct-HSM encrypts with AES-GCM and AES-CBC", async () => {
  const client = crypto((await hsm.getKey("js-hsm-oct")).id);
  const additionalAuthenticatedData = new TextEncoder().encode("header");
  const sealed = await client.encrypt({ algorithm: "A256GCM", plaintext, additionalAuthenticatedData });
  assert.equal(sealed.iv.length, 12);
  const opened = await client.decrypt({
    algorithm: "A256GCM", ciphertext: sealed.result, iv: sealed.iv,
    authenticationTag: sealed.authenticationTag, additionalAuthenticatedData,
  });
  assert.deepEqual(Buffer.from(opened.result), Buffer.from(plaintext));
  const iv = randomBytes(16);
  const padded = await client.encrypt({ algorithm: "A256CBCPAD", plaintext, iv });
  const plain = await client.decrypt({ algorithm: "A256CBCPAD", ciphertext: padded.result, iv });
  assert.deepEqual(Buffer.from(plain.result), Buffer.from(plaintext));
});

await check("Managed HSM: random bytes", async () => {
  const [one, two] = [await hsm.getRandomBytes(16), await hsm.getRandomBytes(16)];
  assert.equal(one.length, 16);
  assert.notDeepEqual(Buffer.from(one), Buffer.from(two));
});

await check("asks for the challenge without token and without body, once for each client", async () => {
  const fresh = new KeyClient(ready.vaults.prod, credential);
  await fetch(`${ready.control}/log`, { method: "DELETE" });
  await fresh.createEcKey("js-challenge");
  await fresh.getKey("js-challenge");
  const log = await (await fetch(`${ready.control}/log`)).json();
  const seen = log.filter((entry) => entry.kind === "vault")
    .map(({ method, status, bearer, has_body }) => [method, status, bearer, has_body]);
  assert.deepEqual(seen, [["POST", 401, false, false], ["POST", 200, true, true], ["GET", 200, true, false]]);
});

process.exit(failed ? 1 : 0);
