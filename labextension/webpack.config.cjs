const path = require('path');

const { SwcJsMinimizerRspackPlugin } = require('@rspack/core');

/**
 * Names that only one emitted file uses, so that the minimizer may shorten them: our private members
 * (`_name`; the host's `_`, `__` and `_n` of a translator stay), and the tables of the loader of
 * shared packages in remoteEntry.
 */
const PRIVATE_NAMES =
  '^(_[a-z][a-zA-Z]{2,}|shareScope|shareKey|requiredVersion|strictVersion|singleton|treeShakingMode|' +
  'fallback|consumesLoadingData|chunkMapping|moduleIdToConsumeDataMapping|initialConsumes|' +
  'initializeSharingData|scopeToSharingDataMapping)$';

module.exports = {
  module: {
    rules: [
      { test: /\.md$/, type: 'asset/source' },
      {
        test: /base\.css$/,
        enforce: 'post',
        use: [path.resolve(__dirname, 'css-loader.cjs')]
      }
    ]
  },
  output: {
    // Each file has this name twice, and each reference to a file its hash.
    chunkLoadingGlobal: 'autoShutdownChunks',
    hashDigestLength: 8
  },
  optimization: {
    mangleExports: 'size',
    minimizer: [
      new SwcJsMinimizerRspackPlugin({
        minimizerOptions: {
          ecma: 2020,
          compress: { ecma: 2020, passes: 3, unsafe_arrows: true },
          mangle: { props: { regex: PRIVATE_NAMES } },
          format: { ecma: 2020, comments: false }
        }
      })
    ]
  }
};
