// Play scenarios against a server: `node play.cjs PACKAGES ADDRESS HUB [NAME…]`; a JSON line of what each one saw.
"use strict";
const { createRequire } = require("node:module");
const { join } = require("node:path");
const [packages, address, hub, ...chosen] = process.argv.slice(2);
const inPackages = createRequire(join(packages, "package.json"));
const sdk = inPackages("@microsoft/durabletask-js");
const { Metadata } = inPackages("@grpc/grpc-js");
const { EntityInstanceId, OrchestrationStatus, RetryPolicy, VersionFailureStrategy, VersionMatchStrategy } = sdk;

const SECONDS_MAX = 30;
const MIB = 1024 * 1024;
const RAISED = { "grpc.max_receive_message_length": 64 * MIB, "grpc.max_send_message_length": 64 * MIB };
const tries = {};
const broken = new Set();

async function metadataGenerator() {
  const metadata = new Metadata();
  metadata.set("taskhub", hub);
  return metadata;
}
const place = { hostAddress: address, options: RAISED, metadataGenerator, logger: new sdk.NoOpLogger() };
const client = new sdk.TaskHubGrpcClient(place);

async function withWorker(functions, play, options = {}) {
  const worker = new sdk.TaskHubGrpcWorker({ ...place, ...options });
  for (const [name, one] of Object.entries(functions.orchestrators ?? {})) worker.addNamedOrchestrator(name, one);
  for (const [name, one] of Object.entries(functions.activities ?? {})) worker.addNamedActivity(name, one);
  for (const [name, one] of Object.entries(functions.entities ?? {})) worker.addNamedEntity(name, one);
  await worker.start();
  try {
    return await play();
  } finally {
    await worker.stop();
  }
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

async function until(condition, what) {
  const end = Date.now() + SECONDS_MAX * 1000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not in ${SECONDS_MAX} s: ${what}`);
    await pause(20);
  }
}

const parsed = (text) => (text === undefined || text === "" ? null : JSON.parse(text));
const ended = (id) => client.waitForOrchestrationCompletion(id, true, SECONDS_MAX);

async function output(id) {
  const state = await ended(id);
  if (state.runtimeStatus === OrchestrationStatus.COMPLETED) return parsed(state.serializedOutput);
  return [OrchestrationStatus[state.runtimeStatus], state.failureDetails?.errorType ?? null];
}

async function run(name, input, options) {
  return output(await client.scheduleNewOrchestration(name, input, options));
}

async function status(id) {
  const state = await client.getOrchestrationState(id, true);
  return state === undefined ? null : OrchestrationStatus[state.runtimeStatus];
}

async function saysCustom(id, wanted) {
  await until(async () => {
    const state = await client.getOrchestrationState(id, true);
    return state !== undefined && parsed(state.serializedCustomStatus) === wanted;
  }, `the custom status of ${id} is ${wanted}`);
}

async function codeOf(call) {
  try {
    await call();
    return "OK";
  } catch (error) {
    return error.code ?? error.name;
  }
}

class Counter extends sdk.TaskEntity {
  initializeState() {
    return 0;
  }
  add(n) {
    this.state += n;
    return this.state;
  }
  get() {
    return this.state;
  }
  fail() {
    this.state = 1_000_000;
    throw new RangeError("not here");
  }
  begin(id) {
    return this.context.scheduleNewOrchestration("sequence", this.state, { instanceId: id });
  }
}

const counter = (key) => new EntityInstanceId("counter", key);
const entityState = async (key) => (await client.getEntity(counter(key), true))?.state ?? null;

const activities = {
  plusOne: (_, n) => n + 1,
  echo: (_, text) => text,
  wide: () => "x".repeat(200_000),
  failsUntil(_, [key, count]) {
    tries[key] = (tries[key] ?? 0) + 1;
    if (tries[key] < count) throw new RangeError(`try ${tries[key]}`);
    return tries[key];
  },
  breaks(_, key) {
    tries[key] = (tries[key] ?? 0) + 1;
    if (broken.has(key)) throw new RangeError(`${key} is broken`);
    return `${key} works`;
  },
};

const orchestrators = {
  async *sequence(ctx, n) {
    const seen = [];
    for (let i = 0; i < 3; i++) {
      n = yield ctx.callActivity("plusOne", n);
      seen.push(n);
    }
    return seen;
  },
  async *fanOut(ctx, n) {
    const tasks = Array.from({ length: n }, (_, i) => ctx.callActivity("plusOne", i));
    const results = yield sdk.whenAll(tasks);
    return [results.length, results.reduce((a, b) => a + b, 0)];
  },
  async *sleeping(ctx, seconds) {
    const before = ctx.currentUtcDateTime.getTime();
    yield ctx.createTimer(seconds);
    return ctx.currentUtcDateTime.getTime() - before >= seconds * 1000;
  },
  async *racing(ctx, n) {
    const quick = ctx.callActivity("plusOne", n);
    const first = yield sdk.whenAny([ctx.createTimer(3600), quick]);
    return [first === quick, quick.getResult()];
  },
  async *flakyChild(ctx, key) {
    return yield ctx.callActivity("failsUntil", [key, 3]);
  },
  async *retryingChild(ctx, key) {
    const retry = new RetryPolicy({ maxNumberOfAttempts: 5, firstRetryIntervalInMilliseconds: 20 });
    return yield ctx.callSubOrchestrator("flakyChild", key, { retry });
  },
  async *retrying(ctx, [key, attempts]) {
    const retry = new RetryPolicy({ maxNumberOfAttempts: attempts, firstRetryIntervalInMilliseconds: 20 });
    try {
      return yield ctx.callActivity("failsUntil", [key, 3], { retry });
    } catch (error) {
      return "gave up";
    }
  },
  async *failing(ctx) {
    yield ctx.callActivity("failsUntil", [ctx.instanceId, 99]);
  },
  async *custom(ctx) {
    ctx.setCustomStatus("waits");
    yield ctx.waitForExternalEvent("go");
    ctx.setCustomStatus("done");
    return "ok";
  },
  async *countingDown(ctx, n) {
    yield ctx.callActivity("plusOne", n);
    if (n > 0) ctx.continueAsNew(n - 1, false);
    else return "down";
  },
  async *collecting(ctx, { seen, save }) {
    if (seen.length === 0) ctx.setCustomStatus("ready");
    const got = ctx.waitForExternalEvent("item");
    const first = yield sdk.whenAny([got, ctx.createTimer(save ? 30 : 1)]);
    if (first !== got) return [...seen, "time is up"];
    const now = [...seen, got.getResult()];
    if (now.length < 3) ctx.continueAsNew({ seen: now, save }, save);
    else return now;
  },
  async *hearing(ctx, n) {
    ctx.setCustomStatus("hears");
    const seen = [];
    for (let i = 0; i < n; i++) seen.push(yield ctx.waitForExternalEvent("said"));
    return seen;
  },
  async *hearingLate(ctx, n) {
    yield ctx.waitForExternalEvent("open");
    const seen = [];
    for (let i = 0; i < n; i++) seen.push(yield ctx.waitForExternalEvent("said"));
    return seen;
  },
  async *telling(ctx, to) {
    ctx.sendEvent(to, "said", "from beside");
    yield ctx.createTimer(0.05);
    return "told";
  },
  async *parentOfWaiting(ctx, instanceId) {
    return yield ctx.callSubOrchestrator("hearing", 1, { instanceId });
  },
  async *restingOn(ctx, key) {
    const first = yield ctx.callActivity("breaks", `${key}-sure`);
    return [first, yield ctx.callActivity("breaks", key)];
  },
  async *restingOnChild(ctx, key) {
    return yield ctx.callSubOrchestrator("restingOn", key, { instanceId: `${key}-child` });
  },
  async *echoing(ctx, text) {
    return yield ctx.callActivity("echo", text);
  },
  async *growing(ctx, n) {
    let total = 0;
    for (let i = 0; i < n; i++) total += (yield ctx.callActivity("wide", i)).length;
    return total;
  },
  async *tagged(ctx) {
    return yield ctx.callActivity("plusOne", 1, { tags: { step: "one" } });
  },
  async *counting(ctx, key) {
    ctx.entities.signalEntity(counter(key), "add", 1);
    return yield ctx.entities.callEntity(counter(key), "add", 2);
  },
  async *askingToFail(ctx, key) {
    yield ctx.entities.callEntity(counter(key), "add", 5);
    try {
      yield ctx.entities.callEntity(counter(key), "fail");
    } catch (error) {
      return [error.name, yield ctx.entities.callEntity(counter(key), "get")];
    }
  },
  async *moving(ctx, n) {
    const lock = yield ctx.entities.lockEntities(counter("source"), counter("target"));
    const has = yield ctx.entities.callEntity(counter("source"), "get");
    if (has >= n) {
      yield ctx.entities.callEntity(counter("source"), "add", -n);
      yield ctx.entities.callEntity(counter("target"), "add", n);
    }
    lock.release();
    return has >= n;
  },
};

const shared = {
  sequence: () => run("sequence", 0),
  fan_out: () => run("fanOut", 100),
  timer: () => run("sleeping", 0.2),
  any_of_two: () => run("racing", 4),
  child_with_retry: () => run("retryingChild", "child"),
  retries: async () => [await run("retrying", ["enough", 3]), await run("retrying", ["too few", 2])],
  failures: () => run("failing"),
  async custom_status() {
    const id = await client.scheduleNewOrchestration("custom");
    await saysCustom(id, "waits");
    await client.raiseOrchestrationEvent(id, "go", null);
    const state = await ended(id);
    return [parsed(state.serializedCustomStatus), parsed(state.serializedOutput)];
  },
  continue_as_new: () => run("countingDown", 5),
  async events_carried_over() {
    const seen = [];
    for (const save of [true, false]) {
      const id = await client.scheduleNewOrchestration("collecting", { seen: [], save });
      await saysCustom(id, "ready");
      await client.suspendOrchestration(id);
      await until(async () => (await status(id)) === "SUSPENDED", "it is suspended");
      for (let n = 0; n < 3; n++) await client.raiseOrchestrationEvent(id, "item", n);
      await client.resumeOrchestration(id);
      seen.push(await output(id));
    }
    return seen;
  },
  async scheduled_start() {
    const at = new Date(Date.now() + 400);
    const id = await client.scheduleNewOrchestration("sequence", 0, { startAt: at });
    const pending = await status(id);
    return [pending, await output(id), Date.now() >= at.getTime()];
  },
  async events_before_and_after_the_wait() {
    const waiting = await client.scheduleNewOrchestration("hearing", 2);
    const late = await client.scheduleNewOrchestration("hearingLate", 3);
    await saysCustom(waiting, "hears");
    for (let n = 0; n < 2; n++) await client.raiseOrchestrationEvent(waiting, "said", { n });
    for (let n = 0; n < 3; n++) await client.raiseOrchestrationEvent(late, "said", n);
    await client.raiseOrchestrationEvent(late, "open", null);
    return [await output(waiting), await output(late)];
  },
  async events_between_orchestrations() {
    const heard = await client.scheduleNewOrchestration("hearing", 1);
    await saysCustom(heard, "hears");
    return [await run("telling", heard), await output(heard)];
  },
  async suspend_and_resume() {
    const id = await client.scheduleNewOrchestration("hearing", 3);
    await saysCustom(id, "hears");
    await client.raiseOrchestrationEvent(id, "said", "before");
    await client.suspendOrchestration(id);
    await until(async () => (await status(id)) === "SUSPENDED", "it is suspended");
    for (const word of ["between", "after"]) await client.raiseOrchestrationEvent(id, "said", word);
    const suspended = await status(id);
    await client.resumeOrchestration(id);
    return [suspended, await output(id)];
  },
  async terminate() {
    const seen = [];
    for (const recursive of [true, false]) {
      const child = `child-${recursive}`;
      const parent = await client.scheduleNewOrchestration("parentOfWaiting", child);
      await saysCustom(child, "hears");
      await client.terminateOrchestration(parent, sdk.terminateOptions({ recursive, output: "enough" }));
      const state = await ended(parent);
      if (recursive) await until(async () => (await status(child)) === "TERMINATED", "the child is terminated");
      seen.push([OrchestrationStatus[state.runtimeStatus], parsed(state.serializedOutput), await status(child)]);
      await client.terminateOrchestration(child);
      await ended(child);
    }
    return seen;
  },
  async rewind() {
    const seen = [];
    for (const [key, name] of [["plain", "restingOn"], ["tree", "restingOnChild"], ["purged", "restingOnChild"]]) {
      broken.add(key);
      const id = await client.scheduleNewOrchestration(name, key);
      const failed = OrchestrationStatus[(await ended(id)).runtimeStatus];
      if (key === "purged") await client.purgeOrchestration(`${key}-child`);
      broken.delete(key);
      await client.rewindInstance(id, "repaired");
      await until(async () => (await status(id)) === "COMPLETED", `${key} completes after its rewind`);
      seen.push([key, failed, await output(id), tries[`${key}-sure`], tries[key]]);
    }
    return seen;
  },
  async rewind_of_what_did_not_fail() {
    const id = await client.scheduleNewOrchestration("sequence", 0);
    await ended(id);
    return [(await codeOf(() => client.rewindInstance(id, ""))) !== "OK", await codeOf(() => client.rewindInstance("never", "")) !== "OK"];
  },
  async restart() {
    const id = await client.scheduleNewOrchestration("sequence", 5, { instanceId: "restarted" });
    await ended(id);
    const fresh = await client.restartOrchestration(id, true);
    const first = await output(fresh);
    const same = await client.restartOrchestration(id, false);
    return [fresh !== id, first, same === id, await output(same)];
  },
  async purge() {
    const id = await client.scheduleNewOrchestration("sequence", 0);
    await ended(id);
    const counts = [];
    for (let n = 0; n < 2; n++) counts.push((await client.purgeOrchestration(id)).deletedInstanceCount);
    const child = "purged-below";
    const parent = await client.scheduleNewOrchestration("parentOfWaiting", child);
    await saysCustom(child, "hears");
    await client.raiseOrchestrationEvent(child, "said", 1);
    await ended(parent);
    counts.push((await client.purgeOrchestration(parent, { recursive: true })).deletedInstanceCount);
    return [counts, await status(id), await status(child)];
  },
  async purge_by_filter() {
    const id = await client.scheduleNewOrchestration("failing");
    await ended(id);
    const criteria = new sdk.PurgeInstanceCriteria();
    criteria.setCreatedTimeFrom(new Date(Date.now() - 3_600_000));
    criteria.setCreatedTimeTo(new Date(Date.now() + 3_600_000));
    criteria.setRuntimeStatusList([OrchestrationStatus.FAILED]);
    const purged = await client.purgeOrchestration(criteria);
    return [purged.deletedInstanceCount >= 1, await status(id)];
  },
  async query_paging() {
    const ids = [];
    for (let n = 0; n < 7; n++) {
      ids.push(await client.scheduleNewOrchestration("sequence", n, { instanceId: `page-${n}` }));
    }
    for (const id of ids) await ended(id);
    const query = { instanceIdPrefix: "page-", pageSize: 3, fetchInputsAndOutputs: true };
    const found = [];
    for await (const state of client.getAllInstances(query)) found.push(state.instanceId);
    const sizes = [];
    for await (const page of client.getAllInstances(query).asPages()) sizes.push(page.values.length);
    return [found.sort().join() === ids.join(), sizes];
  },
  async ids_of_what_has_ended() {
    const begin = new Date(Date.now() - 1000);
    const ids = [];
    for (let n = 0; n < 5; n++) ids.push(await client.scheduleNewOrchestration("sequence", n));
    for (const id of ids) await ended(id);
    const listed = [];
    let lastInstanceKey;
    do {
      const options = { runtimeStatus: [OrchestrationStatus.COMPLETED], completedTimeFrom: begin, pageSize: 2 };
      const page = await client.listInstanceIds({ ...options, lastInstanceKey });
      listed.push(...page.values);
      lastInstanceKey = page.continuationToken;
    } while (lastInstanceKey);
    return ids.every((id) => listed.includes(id)) && new Set(listed).size === listed.length;
  },
  async history_and_tags() {
    const id = await client.scheduleNewOrchestration("tagged", null, { tags: { team: "blue" } });
    const state = await ended(id);
    const events = await client.getOrchestrationHistory(id);
    return [events.map((event) => event.type), events.filter((event) => event.tags).map((event) => event.tags), state.tags];
  },
  async entity_calls_and_signals() {
    const seen = await run("counting", "called");
    await client.signalEntity(counter("called"), "add", 10);
    await until(async () => (await entityState("called")) === 13, "the signal arrived");
    return [seen, await entityState("called")];
  },
  entity_failures: () => run("askingToFail", "failing"),
  async entity_locks() {
    await client.signalEntity(counter("source"), "add", 55);
    await until(async () => (await entityState("source")) === 55, "the source is filled");
    const moves = [];
    for (let n = 0; n < 10; n++) moves.push(await client.scheduleNewOrchestration("moving", 10));
    const done = [];
    for (const move of moves) done.push(await output(move));
    await until(async () => (await entityState("target")) === 50, "the target is filled");
    return [done.filter((moved) => moved).length, await entityState("source"), await entityState("target")];
  },
  async delayed_signal() {
    const at = Date.now() + 500;
    await client.signalEntity(counter("late"), "add", 7, { signalTime: new Date(at) });
    const before = await entityState("late");
    await until(async () => (await entityState("late")) === 7, "the delayed signal arrived");
    return [before, Date.now() >= at];
  },
  async entity_starts_an_orchestration() {
    await client.signalEntity(counter("starter"), "add", 3);
    await client.signalEntity(counter("starter"), "begin", "begun-by-entity");
    await until(async () => (await status("begun-by-entity")) !== null, "the entity started it");
    return output("begun-by-entity");
  },
  async entity_queries() {
    for (let n = 0; n < 5; n++) await client.signalEntity(counter(`asked-${n}`), "add", n + 1);
    const query = { instanceIdStartsWith: "@counter@asked-", pageSize: 2, includeState: true };
    const all = async () => {
      const found = [];
      for await (const one of client.getEntities(query)) found.push([one.id.toString(), one.state]);
      return found.sort();
    };
    await until(async () => (await all()).length === 5, "five are found");
    return all();
  },
  async large_payloads() {
    const text = "x".repeat(5 * MIB);
    return (await run("echoing", text)) === text;
  },
  async long_history() {
    const id = await client.scheduleNewOrchestration("growing", 30);
    const total = await output(id);
    const narrow = new sdk.TaskHubGrpcClient({ ...place, options: {} });
    const events = await narrow.getOrchestrationHistory(id);
    await narrow.stop();
    return [total, events.filter((event) => event.result?.length > 200_000).length];
  },
};

const versioned = { orchestrators: { versioned: async (ctx) => ctx.version } };

const alone = {
  async version_fails() {
    const seen = {};
    for (const match of ["None", "Strict", "CurrentOrOlder"]) {
      const versioning = {
        version: "2.0",
        matchStrategy: VersionMatchStrategy[match],
        failureStrategy: VersionFailureStrategy.Fail,
      };
      seen[match] = await withWorker(versioned, async () => {
        const answers = [];
        for (const version of ["1.0", "2.0", "10.0"]) answers.push(await run("versioned", null, { version }));
        return answers;
      }, { versioning });
    }
    return seen;
  },
  async version_rejects() {
    const choice = (version) => ({
      versioning: {
        version,
        matchStrategy: VersionMatchStrategy.Strict,
        failureStrategy: VersionFailureStrategy.Reject,
      },
    });
    return withWorker(versioned, async () => {
      const waits = await client.scheduleNewOrchestration("versioned", null, { version: "2.0" });
      const runs = await run("versioned", null, { version: "1.0" });
      const pending = await status(waits);
      return [runs, pending, await withWorker(versioned, () => output(waits), choice("2.0"))];
    }, choice("1.0"));
  },
  async filters() {
    const calling = { async *calling(ctx, n) { return yield ctx.callActivity("far", n); } };
    const options = { workItemFilters: "auto" };
    return withWorker({ orchestrators: calling }, () =>
      withWorker({ activities: { far: (_, n) => n * 2 } }, async () => {
        const seen = [];
        for (let n = 0; n < 3; n++) seen.push(await run("calling", n));
        return seen;
      }, options), options);
  },
  async started_before_any_worker() {
    const ids = [];
    for (let n = 0; n < 3; n++) ids.push(await client.scheduleNewOrchestration("sequence", n));
    await client.terminateOrchestration(ids[0], "unneeded");
    const terminated = OrchestrationStatus[(await ended(ids[0])).runtimeStatus];
    await client.suspendOrchestration(ids[1]);
    await until(async () => (await status(ids[1])) === "SUSPENDED", "it is suspended");
    const purged = (await client.purgeOrchestration(ids[0])).deletedInstanceCount;
    return withWorker({ orchestrators, activities }, async () => {
      const rest = await output(ids[2]);
      await client.resumeOrchestration(ids[1]);
      return [terminated, purged, rest, await output(ids[1])];
    });
  },
};

async function play(scenarios, names) {
  for (const name of names) {
    const begin = Date.now();
    let seen;
    try {
      seen = { seen: (await scenarios[name]()) ?? null };
    } catch (error) {
      seen = { error: `${error.stack}` };
    }
    console.log(JSON.stringify({ scenario: name, ...seen, seconds: (Date.now() - begin) / 1000 }));
  }
}

async function main() {
  const wanted = (names) => names.filter((name) => chosen.length === 0 || chosen.includes(name));
  const functions = { orchestrators, activities, entities: { counter: () => new Counter() } };
  await withWorker(functions, () => play(shared, wanted(Object.keys(shared))));
  await play(alone, wanted(Object.keys(alone)));
  await client.stop();
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
