import tseslint from 'typescript-eslint'

// Time, chance and waiting reach the life of a transaction only through its ports, so that the
// simulation can replay it. `switch/ports/` holds the production implementations of those ports.
const nondeterminism = [
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'Ask the Clock port.' },
  { selector: "MemberExpression[object.name='Date'][property.name='now']", message: 'Ask the Clock port.' },
  {
    selector: "MemberExpression[object.name='Math'][property.name='random']",
    message: 'Ask the Random port.',
  },
  {
    selector: "MemberExpression[object.name='process'][property.name='hrtime']",
    message: 'Ask the Clock port.',
  },
  { selector: "MemberExpression[object.name='performance']", message: 'Ask the Clock port.' },
  {
    selector: "MemberExpression[object.name='Promise'][property.name='race']",
    message: 'A lost race on a money path loses its outcome.',
  },
  {
    selector: 'CallExpression[callee.name=/^(setTimeout|setInterval|setImmediate)$/]',
    message: 'Ask the Clock port.',
  },
  {
    selector: 'ImportDeclaration[source.value=/^(node:)?(timers|crypto|perf_hooks|fs|net)/]',
    message: 'Ask a port.',
  },
]

export default tseslint.config(
  { ignores: ['node_modules/', '.run/', 'coverage/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-meaningless-void-operator': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-non-null-assertion': 'off',
      eqeqeq: 'error',
      'no-restricted-properties': ['error', { object: 'Buffer', property: 'allocUnsafeSlow' }],
    },
  },
  {
    files: ['switch/**/*.ts'],
    ignores: ['switch/ports/**'],
    rules: { 'no-restricted-syntax': ['error', ...nondeterminism] },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
    },
  },
)
