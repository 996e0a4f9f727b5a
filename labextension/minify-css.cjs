/** A loader that takes comments and needless white space out of our style sheet. */
module.exports = source =>
  source
    .replace(/\/\*[^]*?\*\//g, '')
    .replace(/\s+/g, ' ')
    .replace(/\s*([{};,>])\s*/g, '$1')
    .replace(/: /g, ':');
