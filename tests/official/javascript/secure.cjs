// One orchestration over TLS with a token: `node secure.cjs PACKAGES ADDRESS TOKEN`; its output, or the code of a refusal.
"use strict";
const { createRequire } = require("node:module");
const { join } = require("node:path");
const [packages, hostAddress, token] = process.argv.slice(2);
const inPackages = createRequire(join(packages, "package.json"));
const sdk = inPackages("@microsoft/durabletask-js");
const { Metadata } = inPackages("@grpc/grpc-js");

async function metadataGenerator() {
  const metadata = new Metadata();
  metadata.set("taskhub", "default");
  if (token) metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

async function main() {
  const place = { hostAddress, useTLS: true, metadataGenerator, logger: new sdk.NoOpLogger() };
  const client = new sdk.TaskHubGrpcClient(place);
  let id;
  try {
    id = await client.scheduleNewOrchestration("greet", "Oslo");
  } catch (error) {
    console.log(JSON.stringify(["refused", error.code]));
    return;
  }
  const worker = new sdk.TaskHubGrpcWorker(place);
  worker.addNamedOrchestrator("greet", async function* (ctx, city) {
    return yield ctx.callActivity("hello", city);
  });
  worker.addNamedActivity("hello", (_, city) => `Hello ${city}!`);
  await worker.start();
  const state = await client.waitForOrchestrationCompletion(id, true, 30);
  console.log(JSON.stringify(["completed", JSON.parse(state.serializedOutput)]));
  await worker.stop();
  await client.stop();
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
