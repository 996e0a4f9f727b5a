import { defineConfig } from 'vitest/config';

// A busy machine may need long for a test that draws the whole panel.
export default defineConfig({
  test: { include: ['src/**/*.spec.{ts,tsx}'], testTimeout: 60_000 }
});
