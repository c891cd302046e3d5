// The lock file of the repository around this folder is not the application's.
export default { turbopack: { root: import.meta.dirname } };
