const path = require('path');

module.exports = {
  module: {
    rules: [
      { test: /\.md$/, type: 'asset/source' },
      {
        test: /base\.css$/,
        enforce: 'pre',
        use: [path.resolve(__dirname, 'minify-css.cjs')]
      }
    ]
  }
};
