// Says, for each file that it is given, a line each: `file PATH`, then `START END SCOPES` in bytes for every part of the text.
// node scopes.js MODULES GRAMMAR FILE…
const fs = require('fs');
const path = require('path');

const [modules, grammarPath, ...files] = process.argv.slice(2);
const { Registry, INITIAL, parseRawGrammar } = require(path.join(modules, 'vscode-textmate'));
const onigurumaPath = path.join(modules, 'vscode-oniguruma');
const oniguruma = require(onigurumaPath);

async function main() {
  await oniguruma.loadWASM(fs.readFileSync(path.join(onigurumaPath, 'release', 'onig.wasm')));
  const registry = new Registry({
    onigLib: Promise.resolve({
      createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
      createOnigString: (text) => new oniguruma.OnigString(text),
    }),
    loadGrammar: async () => parseRawGrammar(fs.readFileSync(grammarPath, 'utf8'), grammarPath),
  });
  const grammar = await registry.loadGrammar('source.fwc');
  const out = [];
  for (const file of files) {
    out.push(`file ${file}`);
    let at = 0;
    let stack = INITIAL;
    for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
      const result = grammar.tokenizeLine(line, stack);
      stack = result.ruleStack;
      for (const token of result.tokens) {
        const start = at + Buffer.byteLength(line.slice(0, token.startIndex));
        const end = at + Buffer.byteLength(line.slice(0, token.endIndex));
        if (end > start) out.push(`${start} ${end} ${token.scopes.slice(1).join(' ')}`);
      }
      at += Buffer.byteLength(line) + 1;
    }
  }
  process.stdout.write(out.join('\n') + '\n');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
