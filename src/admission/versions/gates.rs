//! Feature gates of Kubernetes, from `test/compatibility_lifecycle/reference/versioned_feature_list.yaml` of the releases 1.32 to
//! 1.36: since when they are known, until when, and from when on they cannot be turned any more.
//!
//! All components share them: the API server accepts a gate that only the kubelet looks at.

use super::{Release, Span, listed_under};
use crate::landscape::nearest::nearest;

/// One gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate {
    /// The versions that know it.
    pub span: Span,
    locked: Option<(u64, bool)>,
}

impl Gate {
    /// The only value that a version accepts, if it accepts only one.
    pub(crate) fn fixed(&self, release: Release) -> Option<bool> {
        self.locked.filter(|(minor, _)| release.since(*minor)).map(|(_, value)| value)
    }
}

/// Gates that every supported version knows, or that are in no other table.
const ALWAYS: &str = "APIResponseCompression APIServerIdentity APIServingWithRoutine CPUManagerPolicyAlphaOptions
    CPUManagerPolicyBetaOptions CloudControllerManagerWebhook ClusterTrustBundle ClusterTrustBundleProjection ComponentSLIs
    ContainerCheckpoint CrossNamespaceVolumeDataSource CSIVolumeHealth CustomCPUCFSQuotaPeriod DisableNodeKubeProxyVersion EventedPLEG
    ExecProbeTimeout GracefulNodeShutdown GracefulNodeShutdownBasedOnPodPriority HPAScaleToZero InTreePluginPortworxUnregister
    InformerResourceVersion KMSv1 KubeletInUserNamespace KubeletPodResourcesDynamicResources KubeletPodResourcesGet
    KubeletSeparateDiskGC LocalStorageCapacityIsolationFSQuotaMonitoring MatchLabelKeysInPodTopologySpread MaxUnavailableStatefulSet
    MemoryQoS NodeLogQuery OpenAPIEnums PodAndContainerStatsFromCRI PodDeletionCost PodReadyToStartContainersCondition
    PortForwardWebsockets ProcMountType QOSReserved RotateKubeletServerCertificate RuntimeClassInImageCriApi SELinuxMount
    SeparateCacheWatchRPC StorageNamespaceIndex StorageVersionAPI StorageVersionHash StorageVersionMigrator
    TopologyManagerPolicyAlphaOptions TopologyManagerPolicyBetaOptions TranslateStreamCloseWebsocketRequests
    UnauthenticatedHTTP2DOSMitigation UnknownVersionInteroperabilityProxy UserNamespacesPodSecurityStandards VolumeAttributesClass
    VolumeCapacityPriority WatchList WatchListClient WindowsHostNetwork";
/// The minor that a gate came with.
const SINCE: &[(u64, &str)] = &[
    (17, "AllAlpha AllBeta"),
    (
        31,
        "AllowDNSOnlyNodeCSR AllowInsecureKubeletCertificateSigningRequests AnonymousAuthConfigurableEndpoints \
        AuthorizeNodeWithSelectors AuthorizeWithSelectors ConcurrentWatchObjectDecode CoordinatedLeaderElection \
        DisableAllocatorDualWrite ImageVolume ReloadKubeletServerCertificateFile ResilientWatchCacheInitialization \
        ResourceHealthStatus SupplementalGroupsPolicy WatchCacheInitializationPostStartHook",
    ),
    (
        32,
        "AllowOverwriteTerminationGracePeriodSeconds AllowUnsafeMalformedObjectDeletion BtreeWatchCache CBORServingAndStorage \
        ComponentFlagz ComponentStatusz DRAAdminAccess DRAResourceClaimDeviceStatus ExternalServiceAccountTokenSigner \
        InPlacePodVerticalScalingAllocatedStatus InPlacePodVerticalScalingExclusiveCPUs KubeletCrashLoopBackOffMax \
        KubeletFineGrainedAuthz KubeletRegistrationGetOnExistsOnly PodLevelResources PodLifecycleSleepActionAllowZero \
        PodLogsQuerySplitStreams PreferAlignCpusByUncoreCache RelaxedDNSSearchValidation RemoteRequestHeaderUID \
        SchedulerAsyncPreemption SELinuxChangePolicy ServiceAccountNodeAudienceRestriction SystemdWatchdog \
        WindowsCPUAndMemoryAffinity WindowsGracefulNodeShutdown",
    ),
    (
        33,
        "AggregatedDiscoveryRemoveBetaType AllowParsingUserUIDFromCertAuth ContainerStopSignals DeclarativeValidation \
        DeclarativeValidationTakeover DeploymentReplicaSetTerminatingReplicas DisableCPUQuotaWithExclusiveCPUs DRADeviceTaints \
        DRAPartitionableDevices DRAPrioritizedList GitRepoVolumeDriver HPAConfigurableTolerance KubeletEnsureSecretPulledImages \
        KubeletPSI KubeletServiceAccountTokenForCredentialProviders LegacySidecarContainers ListFromCacheSnapshot \
        MutableCSINodeAllocatableCount OrderedNamespaceDeletion PodObservedGenerationTracking PodTopologyLabelsAdmission \
        PreferSameTrafficDistribution ReduceDefaultCrashLoopBackOffDecay SchedulerPopFromBackoffQ StorageCapacityScoring \
        StreamingCollectionEncodingToJSON StreamingCollectionEncodingToProtobuf StrictIPCIDRValidation",
    ),
    (
        34,
        "ClearingNominatedNodeNameAfterBinding ContainerRestartRules DetectCacheInconsistency DRAConsumableCapacity \
        DRADeviceBindingConditions DRAExtendedResource DRASchedulerFilterTimeout EnvFiles HostnameOverride \
        InPlacePodVerticalScalingExclusiveMemory KubeletPodResourcesListUseActivePods \
        MatchLabelKeysInPodTopologySpreadSelectorMerge NominatedNodeNameForExpectation PodCertificateRequest \
        PreventStaticPodAPIReferences ProbeHostPodSecurityStandards RelaxedServiceNameValidation SchedulerAsyncAPICalls \
        SizeBasedListCostEstimate StructuredAuthenticationConfigurationEgressSelector TokenRequestServiceAccountUIDValidation",
    ),
    (
        35,
        "CSIServiceAccountTokenSecrets ChangeContainerStatusOnKubeletRestart CloudControllerManagerWatchBasedRoutesReconciliation \
        ConstrainedImpersonation DRADeviceTaintRules GangScheduling GenericWorkload ImageVolumeWithDigest \
        InPlacePodLevelResourcesVerticalScaling MutablePVNodeAffinity MutablePodResourcesForSuspendedJobs \
        MutableSchedulingDirectivesForSuspendedJobs NodeDeclaredFeatures OpportunisticBatching RestartAllContainersOnContainerExits \
        StatefulSetSemanticRevisionComparison TaintTolerationComparisonOperators UserNamespacesHostNetworkSupport VolumeLimitScaling",
    ),
    (
        36,
        "DRANodeAllocatableResources DRAResourcePoolStatus DRAWorkloadResourceClaims DeclarativeValidationBeta \
        ManifestBasedAdmissionControlConfig PersistentVolumeClaimUnusedSinceTime ShardedListAndWatch TopologyAwareWorkloadScheduling \
        WorkloadAwarePreemption WorkloadWithJob",
    ),
];
/// The minor that a gate is gone from.
const UNTIL: &[(u64, &str)] = &[
    (
        33,
        "APIListChunking AdmissionWebhookMatchConditions AggregatedDiscoveryEndpoint AppArmor AppArmorFields CPUManager \
        DisableCloudProviders DisableKubeletCloudCredentialProviders EfficientWatchResumption JobPodFailurePolicy \
        KubeProxyDrainingTerminatingNodes PDBUnhealthyPodEvictionPolicy PersistentVolumeLastPhaseTransitionTime RemainingItemCount \
        VolumeCapacityPriority WatchBookmark",
    ),
    (34, "DevicePluginCDIDevices ElasticIndexedJob LegacySidecarContainers PodDisruptionConditions StatefulSetStartOrdinal"),
];
/// The minor from which a gate is on and stays on.
const LOCKED_ON: &[(u64, &str)] = &[
    (17, "WatchBookmark"),
    (24, "EfficientWatchResumption"),
    (26, "CPUManager"),
    (29, "APIListChunking RemainingItemCount SELinuxMountReadWriteOncePod"),
    (30, "AdmissionWebhookMatchConditions AggregatedDiscoveryEndpoint ContextualLogging PodSchedulingReadiness"),
    (
        31,
        "AppArmor AppArmorFields DevicePluginCDIDevices DisableCloudProviders DisableKubeletCloudCredentialProviders \
        ElasticIndexedJob JobPodFailurePolicy KubeProxyDrainingTerminatingNodes LogarithmicScaleDown PDBUnhealthyPodEvictionPolicy \
        PersistentVolumeLastPhaseTransitionTime PodDisruptionConditions StatefulSetStartOrdinal",
    ),
    (
        32,
        "CronJobsScheduledAnnotation CustomResourceFieldSelectors LoadBalancerIPMode MemoryManager PodIndexLabel RetryGenerateName \
        ServiceAccountTokenJTI ServiceAccountTokenNodeBindingValidation ServiceAccountTokenPodNodeInfo SizeMemoryBackedVolumes \
        StatefulSetAutoDeletePVC StrictCostEnforcementForVAP StrictCostEnforcementForWebhooks StructuredAuthorizationConfiguration \
        TopologyManagerPolicyOptions",
    ),
    (
        33,
        "AnyVolumeDataSource BtreeWatchCache CPUManagerPolicyOptions CRDValidationRatcheting CSIMigrationPortworx \
        HonorPVReclaimPolicy JobBackoffLimitPerIndex JobSuccessPolicy MatchLabelKeysInPodAffinity NFTablesProxyMode \
        NodeInclusionPolicyInPodTopologySpread RecursiveReadOnlyMounts ServiceAccountTokenNodeBinding ServiceTrafficDistribution \
        SidecarContainers TopologyAwareHints",
    ),
    (
        34,
        "APIServerTracing AnonymousAuthConfigurableEndpoints AuthorizeNodeWithSelectors AuthorizeWithSelectors \
        ConsistentListFromCache JobPodReplacementPolicy KubeletCgroupDriverFromCRI KubeletTracing MultiCIDRServiceAllocator NodeSwap \
        OrderedNamespaceDeletion PodLifecycleSleepAction PodLifecycleSleepActionAllowZero ProbeHostPodSecurityStandards \
        RecoverVolumeExpansionFailure RelaxedDNSSearchValidation RelaxedEnvironmentVariableValidation \
        ResilientWatchCacheInitialization SchedulerQueueingHints SeparateTaintEvictionController StreamingCollectionEncodingToJSON \
        StreamingCollectionEncodingToProtobuf StructuredAuthenticationConfiguration WinDSR WinOverlay",
    ),
    (
        35,
        "DynamicResourceAllocation ImageMaximumGCAge InPlacePodVerticalScaling JobManagedBy PodObservedGenerationTracking \
        PreferSameTrafficDistribution SupplementalGroupsPolicy",
    ),
    (
        36,
        "DRAAdminAccess DRAPrioritizedList ExternalServiceAccountTokenSigner KubeletFineGrainedAuthz MutatingAdmissionPolicy \
        UserNamespacesSupport",
    ),
];
/// The minor from which a gate is off and stays off.
const LOCKED_OFF: &[(u64, &str)] = &[(32, "AllowServiceLBStatusOnNonLB"), (33, "WatchFromStorageWithoutResourceVersion")];

fn all() -> impl Iterator<Item = &'static str> + Clone {
    let tables = [SINCE, UNTIL, LOCKED_ON, LOCKED_OFF].into_iter().flatten().map(|(_, names)| *names);
    std::iter::once(ALWAYS).chain(tables).flat_map(str::split_whitespace)
}

/// A gate by its name.
pub(crate) fn gate(name: &str) -> Option<Gate> {
    let on = listed_under(LOCKED_ON, name).map(|minor| (minor, true));
    let off = listed_under(LOCKED_OFF, name).map(|minor| (minor, false));
    let minor = |table| listed_under(table, name).unwrap_or(0);
    all().any(|known| known == name).then(|| Gate { span: Span(minor(SINCE), minor(UNTIL)), locked: on.or(off) })
}

/// The gate that was probably meant.
pub(crate) fn suggestions(name: &str) -> Option<&'static str> {
    nearest(name, all())
}
