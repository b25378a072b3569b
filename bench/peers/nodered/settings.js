// Node-RED for the benchmark: no editor, no admin interface, nothing fetched, its log on stdout.
module.exports = {
    flowFile: 'flow.json',
    credentialSecret: false,
    uiHost: '127.0.0.1',
    uiPort: process.env.NODE_RED_PORT,
    disableEditor: true,
    httpAdminRoot: false,
    httpNodeRoot: false,
    telemetry: { enabled: false, updateNotification: false },
    diagnostics: { enabled: false, ui: false },
    runtimeState: { enabled: false, ui: false },
    contextStorage: { default: { module: 'memory' } },
    logging: { console: { level: 'info', metrics: false, audit: false } },
};
