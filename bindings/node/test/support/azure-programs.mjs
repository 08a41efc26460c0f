// @ts-check
/**
 * Programs that use the Azure SDK with a cache on disk, for a project that has the SDK and the plugin. The
 * environment variable `SETTING` has the settings of one run:
 *
 * `name` of the cache, `person` who approves the sign-in, `record` of the account, `unencrypted` storage allowed,
 * `offline`, `cae`, the `plugin`, the `options` of ours.
 */

const SIGN_IN = new URL("../../../../demo/signin/", import.meta.url).href;

/**
 * A user's program: credentials whose HTTP goes to the offline service, or fails. `plan` is its work; `SETTING` has the
 * settings of one run.
 *
 * @param {string} plan
 */
const program = (plan) => `
  import * as azure from "@azure/identity";
  import { createHttpHeaders } from "@azure/core-rest-pipeline";
  import { SignInService } from "${SIGN_IN}service.mjs";
  const setting = JSON.parse(process.env.SETTING);
  const { DeviceCodeCredential, useIdentityPlugin } = azure;
  const { cachePersistencePlugin, createCachePersistencePlugin } = await import(setting.plugin ?? "tokenkeep/identity");
  useIdentityPlugin(setting.options ? createCachePersistencePlugin(setting.options) : cachePersistencePlugin);
  const service = new SignInService();
  const answers = (request) => {
    // The login hint in the request names the user who approves the sign-in.
    const body = String(request.body ?? "") + (setting.person ? "&login_hint=" + setting.person : "");
    const { status, headers, body: answer } = service.handle({ method: request.method, url: request.url, body });
    return { request, status, headers: createHttpHeaders(headers), bodyAsText: JSON.stringify(answer) };
  };
  const refuses = (request) => { throw new Error("the network is off, but asked for " + request.url); };
  const credential = (more = {}) => new DeviceCodeCredential({
    tenantId: "organizations",
    clientId: "00000000-0000-4000-8000-00000000c11e",
    tokenCachePersistenceOptions: {
      enabled: true,
      ...(setting.name && { name: setting.name }),
      unsafeAllowUnencryptedStorage: setting.unencrypted === true,
    },
    userPromptCallback: () => {},
    retryOptions: { maxRetries: 0 },
    httpClient: { sendRequest: async (request) => (setting.offline ? refuses : answers)(request) },
    ...(setting.record && { authenticationRecord: azure.deserializeAuthenticationRecord(setting.record) }),
    ...more,
  });
  const scope = "https://api.example/.default";
  const say = (value) => console.log(JSON.stringify(value));
  ${plan}`;

/** Signs a user in; with `cae` in the setting, in both caches. */
export const SIGNS_IN = program(`
  const one = credential();
  const record = azure.serializeAuthenticationRecord(await one.authenticate(scope));
  const { token } = await one.getToken(scope);
  const cae = setting.cae && (await one.getToken(scope, { enableCae: true })).token;
  say({ record, token, cae });`);

/** The next process, which must not prompt. */
export const SILENTLY = program(`
  const one = credential({ disableAutomaticAuthentication: true });
  const enableCae = setting.cae === true;
  say(await one.getToken(scope, { enableCae }).then(({ token }) => ({ token }), ({ name }) => ({ error: name })));`);

/** A credential whose cache cannot be opened. An unused cache must not end the process. */
export const FAILS = program(`
  const errors = [];
  for (const again of [1, 2]) {
    await credential().getToken(scope).then(() => errors.push("a token"), (error) => errors.push(error));
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  say(errors.map(({ name, errorCode, code, message }) => ({ name, errorCode, code, message })));`);
