// Who may import whom (docs/architecture.md). A room is entered through its front door only:
// the file that bears the room's name.
const rooms = {
  kernel: [],
  iso8583: ['kernel'],
  hsm: ['kernel'],
  ledger: ['kernel'],
  connectors: ['kernel', 'iso8583'],
  switch: ['kernel', 'iso8583', 'connectors', 'hsm', 'ledger'],
  front: ['kernel', 'switch', 'ledger', 'hsm'],
  simulators: ['kernel', 'iso8583'],
}

const frontDoors = {
  iso8583: '^iso8583/iso8583\\.ts$',
  hsm: '^hsm/hsm\\.ts$',
  ledger: '^ledger/ledger\\.ts$',
  connectors: '^connectors/connector\\.ts$',
  switch: '^switch/switch\\.ts$',
}

const walls = Object.entries(rooms).map(([room, may]) => ({
  name: `${room}-imports-only-${may.join('-') || 'itself'}`,
  severity: 'error',
  from: { path: `^${room}/` },
  to: {
    path: '^(?!node_modules/)[^/]+/',
    pathNot: [`^${room}/`, ...may.map((other) => `^${other}/`)],
    dependencyTypes: ['local'],
  },
}))

const doors = Object.entries(frontDoors).map(([room, door]) => ({
  name: `${room}-by-its-front-door`,
  severity: 'error',
  from: { path: '^(kernel|iso8583|hsm|ledger|connectors|switch|front|simulators)/', pathNot: `^${room}/` },
  to: { path: `^${room}/`, pathNot: door },
}))

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    ...walls,
    ...doors,
    {
      name: 'a-network-never-imports-another',
      severity: 'error',
      from: { path: '^connectors/([^/]+)/' },
      to: { path: '^connectors/([^/]+)/', pathNot: '^connectors/$1/' },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    exclude: { path: '^(node_modules|\\.run)/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
}
