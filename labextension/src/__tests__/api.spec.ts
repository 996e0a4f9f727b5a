import { PageConfig } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { expect, test, vi } from 'vitest';

import { Api } from '../behaviour/api';

/** The path of the request for the status, from a page below `baseUrl`. */
async function askedPath(baseUrl: string): Promise<string> {
  PageConfig.setOption('baseUrl', `http://localhost:8888${baseUrl}`);
  const makeRequest = vi
    .spyOn(ServerConnection, 'makeRequest')
    .mockImplementation(async () => new Response('{}', { status: 200 }));
  await new Api(nullTranslator.load('')).status(true);
  const url = makeRequest.mock.calls[0][0];
  makeRequest.mockRestore();
  return new URL(url).pathname;
}

// JupyterHub percent-encodes the names of users; the server compares the path as it is sent.
test.each([
  ['/jupyter/default/'],
  ['/%C3%BCbung/'],
  ['/user/%EC%82%AC%EC%9A%A9%EC%9E%90/'],
  ['/a%20b/'],
  ['/a%2Fb/']
])('the request keeps the percent-encoding of the base URL %s', async base => {
  expect(await askedPath(base)).toBe(`${base}auto-shutdown/status`);
});
