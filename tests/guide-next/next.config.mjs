// The lock file of the repository around this folder is not the application's. cacheComponents is what create-next-app switches on.
export default { cacheComponents: true, turbopack: { root: import.meta.dirname } };
