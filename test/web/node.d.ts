// SPDX-License-Identifier: Apache-2.0
// What the unit tests use of node, so that checking their types needs no further package.
declare module 'node:test' {
  export function test(name: string, body: () => void | Promise<void>): void;
}

declare module 'node:assert/strict' {
  interface Assert {
    equal(actual: unknown, expected: unknown, message?: string): void;
    notEqual(actual: unknown, expected: unknown, message?: string): void;
    deepEqual(actual: unknown, expected: unknown, message?: string): void;
    ok(value: unknown, message?: string): asserts value;
    match(text: string, expression: RegExp): void;
    throws(body: () => void, expected: RegExp): void;
    rejects(promise: Promise<unknown>, expected: RegExp): Promise<void>;
  }
  const assert: Assert;
  export default assert;
}
