// An orchestrator whose activity, child and entity are a Python worker's: `node mixed.cjs PACKAGES ADDRESS HUB`.
"use strict";
const { createRequire } = require("node:module");
const { join } = require("node:path");
const [packages, hostAddress, hub] = process.argv.slice(2);
const inPackages = createRequire(join(packages, "package.json"));
const sdk = inPackages("@microsoft/durabletask-js");
const { Metadata } = inPackages("@grpc/grpc-js");

async function metadataGenerator() {
  const metadata = new Metadata();
  metadata.set("taskhub", hub);
  return metadata;
}

async function* mixed(ctx, n) {
  const first = yield ctx.callActivity("plus_one", n);
  const below = yield ctx.callSubOrchestrator("sequence", 0);
  const total = yield ctx.entities.callEntity(new sdk.EntityInstanceId("tally", "mixed"), "add", 5);
  return [first, below, total];
}

async function main() {
  const place = { hostAddress, metadataGenerator, logger: new sdk.NoOpLogger() };
  const worker = new sdk.TaskHubGrpcWorker({ ...place, workItemFilters: "auto" });
  worker.addNamedOrchestrator("mixed", mixed);
  await worker.start();
  const client = new sdk.TaskHubGrpcClient(place);
  const state = await client.waitForOrchestrationCompletion(await client.scheduleNewOrchestration("mixed", 41), true, 30);
  console.log(state.serializedOutput ?? JSON.stringify(state.failureDetails));
  await worker.stop();
  await client.stop();
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
