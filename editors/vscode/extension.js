// Starts `fwc lsp` for policies and gives what it says to the editor.
'use strict';

const vscode = require('vscode');
const { LanguageClient } = require('vscode-languageclient/node');

/** @type {LanguageClient | undefined} */
let client;

function start() {
  const command = vscode.workspace.getConfiguration('fwc').get('server.path') || 'fwc';
  const server = { command, args: ['lsp'] };
  const options = {
    documentSelector: [{ language: 'fwc' }],
    synchronize: {
      // What a policy is read with: what it includes, compose files, lists of addresses, facts.
      fileEvents: vscode.workspace.createFileSystemWatcher('**/*.{fw,fwtest,yml,yaml,json,txt,toml}'),
    },
  };
  client = new LanguageClient('fwc', 'fwc', server, options);
  return client.start().catch((error) => {
    vscode.window.showErrorMessage(`fwc: \`${command} lsp\` does not start: ${error.message}. See the setting fwc.server.path.`);
  });
}

async function stop() {
  const stopping = client;
  client = undefined;
  if (stopping && stopping.needsStop()) await stopping.stop();
}

/** @param {vscode.ExtensionContext} context */
async function activate(context) {
  context.subscriptions.push(
    vscode.commands.registerCommand('fwc.restartServer', async () => {
      await stop();
      await start();
    }),
    vscode.workspace.onDidChangeConfiguration(async (change) => {
      if (!change.affectsConfiguration('fwc.server.path')) return;
      await stop();
      await start();
    }),
  );
  await start();
}

module.exports = { activate, deactivate: stop };
