const { readFileSync } = require('node:fs');

/**
 * A loader that makes a module of our style sheet. The module adds the style sheet to the page; white
 * space and comments are left out. Because `pitch` returns the module, the loaders of the builder for
 * style sheets do not run: they would add 3 KB of code for imports, source maps and hot replacement.
 */
module.exports.pitch = function () {
  this.addDependency(this.resourcePath);
  const css = readFileSync(this.resourcePath, 'utf8')
    .replace(/\/\*[^]*?\*\//g, '')
    .replace(/\s+/g, ' ')
    .replace(/ ?([{};,>]) ?/g, '$1')
    .replace(/: /g, ':')
    .replace(/;}/g, '}')
    .trim();
  return (
    "const style = document.createElement('style');" +
    `style.textContent = ${JSON.stringify(css)};` +
    'document.head.append(style);'
  );
};
